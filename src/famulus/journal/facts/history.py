"""When an experiment ran, and what changed since the version of its file before."""

from dataclasses import dataclass

from famulus.journal.facts.changes import differences, last_version
from famulus.journal.facts.runs import Runs


@dataclass(frozen=True)
class History:
    """Times as the events give them, '' where there is none yet."""

    started: str
    ended: str
    since: str  # day of the version before, '' without one
    changes: tuple[str, ...]  # from it, a line each
    stale: tuple[str, ...]  # ids of runs with older code than the newest

    @property
    def date(self) -> str:
        """Day of the newest event, as 2026-11-20; '' before the first run."""
        return (self.ended or self.started)[:10]


def history_of(runs: Runs) -> History:
    """Dates, the difference from the last version, runs whose code is older than the newest's."""
    records, old = runs.records, last_version(runs.earlier) if runs.records else []
    coded = [r for r in records if r.code]
    # the id as well: two runs may start in the same second, and a page must not change by itself
    newest = max(coded, key=lambda r: (r.started, r.id), default=None)
    return History(
        started=min((r.started for r in records if r.started), default=""),
        ended=max((r.ended for r in records if r.ended), default=""),
        since=max((r.started for r in old), default="")[:10],
        changes=tuple(differences(old, [r for r in records if not r.heir])) if old else (),
        stale=tuple(r.id for r in coded if newest and not r.same_code(newest)),
    )
