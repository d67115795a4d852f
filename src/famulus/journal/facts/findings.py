"""What the doctor found in the runs of an experiment, cause by cause."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from famulus.journal.facts.curves import Event
from famulus.journal.facts.record import Record

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class CommonFinding:
    """One cause, over all runs that showed it; `of` is the run whose evidence is shown."""

    cause: str
    severity: str
    evidence: str
    remedies: tuple[tuple[str, tuple[Record, ...]], ...]  # each with the runs that it is for
    runs: tuple[Record, ...]
    of: Record
    under: str = ""  # the cause that explains this one

    @property
    def grave(self) -> bool:
        return self.severity in ("warning", "error")


def findings_of(records: Sequence[Record]) -> tuple[CommonFinding, ...]:
    """One finding a cause, the most severe and most frequent first; below each what it explains."""
    by_cause: dict[str, list[tuple[Event, Record]]] = {}
    for record in records:
        # a finding is written anew as its evidence grows: the last one holds
        newest = {str(f.get("cause")): f for f in record.findings}
        for cause, finding in newest.items():
            by_cause.setdefault(cause, []).append((finding, record))
    findings = [_common(cause, pairs) for cause, pairs in by_cause.items()]
    explains = {str(e.get("under")) for pairs in by_cause.values() for e, _ in pairs}
    first = {cause: min(_step(e) for e, _ in pairs) for cause, pairs in by_cause.items()}
    # as grave: what explains another, then what is frequent, then what showed first
    findings.sort(
        key=lambda f: (-_rank(f.severity), f.cause not in explains, -len(f.runs), first[f.cause])
    )
    alone = {f.cause for f in findings if not f.under}
    # the cause above it may not have been found in any run: then it stands alone
    roots = [f for f in findings if not f.under or f.under not in alone]
    below = [f for f in findings if f not in roots]
    return tuple(f for root in roots for f in (root, *(b for b in below if b.under == root.cause)))


def _common(cause: str, pairs: list[tuple[Event, Record]]) -> CommonFinding:
    worst, of = max(pairs, key=lambda pair: _rank(pair[0].get("severity")))
    evidence, under = (str(worst.get(k) or "") for k in ("evidence", "under"))
    severity = str(worst.get("severity") or "info")
    # the shown run's first: cells with other settings may need the opposite
    remedies: dict[str, list[Record]] = {str(worst.get("remedy") or ""): []}
    for finding, record in pairs:
        remedies.setdefault(str(finding.get("remedy") or ""), []).append(record)
    advice = tuple((text, tuple(runs)) for text, runs in remedies.items() if text)
    return CommonFinding(cause, severity, evidence, advice, tuple(r for _, r in pairs), of, under)


def _step(finding: Event) -> float:
    step = finding.get("step")
    return step if isinstance(step, int) else math.inf


def _rank(severity: Any) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0
