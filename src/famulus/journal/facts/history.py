"""When an experiment ran, and what changed since the version of its file before."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from famulus.journal.facts.changes import differences, last_version
from famulus.journal.facts.record import Record
from famulus.journal.facts.runs import Runs


@dataclass(frozen=True)
class History:
    """Times as the events give them, '' where there is none yet."""

    started: str
    ended: str
    since: str  # day of the version before, '' without one
    before: str  # what that was: an earlier version of the file, or the file with other --set
    older: int  # runs of it
    changes: tuple[str, ...]  # from it, a line each
    stale: tuple[str, ...]  # ids of runs with older code than the newest

    @property
    def date(self) -> str:
        """Day of the newest event, as 2026-11-20; '' before the first run."""
        return (self.ended or self.started)[:10]


def history_of(runs: Runs) -> History:
    """Dates, the difference from the last version, runs whose code is older than the newest's."""
    records = runs.records
    own = [r for r in records if not r.heir]
    # forks alone are no version of the file
    old = last_version(runs.earlier) if own else []
    coded = [r for r in records if r.code]
    # the id as well: two runs may start in the same second, and a page must not change by itself
    newest = max(coded, key=lambda r: (r.started, r.id), default=None)
    return History(
        started=min((r.started for r in records if r.started), default=""),
        ended=max((r.ended for r in records if r.ended), default=""),
        since=max((r.started for r in old), default="")[:10],
        before=_before(old, records),
        older=len(old),
        changes=tuple(differences(old, own)) if old else (),
        stale=tuple(r.id for r in coded if newest and not r.same_code(newest)),
    )


def _before(old: Sequence[Record], new: Sequence[Record]) -> str:
    sides = [{_set_beside(r) for r in side} - {None} for side in (old, new)]
    if all(sides) and not sides[0] & sides[1]:
        return "the last runs, which had other --set"
    return "the last version of this file"


def _set_beside(record: Record) -> tuple[str, ...] | None:
    """The words behind --set in the command that ran it; None where no command is recorded."""
    command = record.newest.get("command")
    words = command.split() if isinstance(command, str) else command
    if not words:
        return None
    values = [str(b) for a, b in pairwise(words) if a == "--set"]
    return tuple(sorted([*values, *(str(w)[6:] for w in words if str(w).startswith("--set="))]))
