"""What the doctor found in the runs of an experiment, cause by cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from famulus.journal.facts.curves import Event
from famulus.journal.facts.record import Record

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class CommonFinding:
    """One cause, over all runs that showed it; the evidence is the strongest run's."""

    cause: str
    severity: str
    evidence: str
    remedy: str
    runs: tuple[Record, ...]
    under: str = ""  # the cause that explains this one


def findings_of(records: Sequence[Record]) -> tuple[CommonFinding, ...]:
    """One finding a cause, the most severe and most frequent first; below each what it explains."""
    by_cause: dict[str, list[tuple[Event, Record]]] = {}
    for record in records:
        # a finding is written anew as its evidence grows: the last one holds
        newest = {str(f.get("cause")): f for f in record.findings}
        for cause, finding in newest.items():
            by_cause.setdefault(cause, []).append((finding, record))
    findings = [_common(cause, pairs) for cause, pairs in by_cause.items()]
    findings.sort(key=lambda f: (-_rank(f.severity), -len(f.runs), f.cause))
    alone = {f.cause for f in findings if not f.under}
    # the cause above it may not have been found in any run: then it stands alone
    roots = [f for f in findings if not f.under or f.under not in alone]
    below = [f for f in findings if f not in roots]
    return tuple(f for root in roots for f in (root, *(b for b in below if b.under == root.cause)))


def _common(cause: str, pairs: list[tuple[Event, Record]]) -> CommonFinding:
    worst = max((finding for finding, _ in pairs), key=lambda f: _rank(f.get("severity")))
    evidence, remedy, under = (str(worst.get(k) or "") for k in ("evidence", "remedy", "under"))
    severity = str(worst.get("severity") or "info")
    return CommonFinding(cause, severity, evidence, remedy, tuple(r for _, r in pairs), under)


def _rank(severity: Any) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0
