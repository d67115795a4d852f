"""One journal entry: the facts of an experiment, from the store alone.

`collect(store, experiment)` reads each run once; everything else on the pages is derived from the
`Entry` that it returns. Nothing here knows HTML, and no clock is read: same store, same entry.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from famulus.config.errors import FamulusError
from famulus.journal.facts.changes import differences, last_version, varying
from famulus.journal.facts.effects import naming
from famulus.journal.facts.expect import Promise, check, scores_of
from famulus.journal.facts.group import Group, axis_names, domain, gather
from famulus.journal.facts.numbers import figure
from famulus.journal.facts.ranking import DEFAULT, Ranking, better, ranking
from famulus.journal.facts.record import SEVERITIES, Record, read_run


@dataclass(frozen=True)
class Finding:
    """One cause, over all runs that showed it; the evidence is the strongest run's."""

    cause: str
    severity: str
    evidence: str
    remedy: str
    step: int | None
    runs: tuple[Record, ...]
    under: str = ""  # the cause that explains this one


@dataclass(frozen=True)
class Edge:
    """A run that stands on another: resumed, extended, warm start, or a second stage."""

    child: str  # experiment/slug-id or id
    parent: str
    kind: str
    checkpoint: str = ""


@dataclass
class Entry:
    """Everything that the pages of one experiment say."""

    experiment: str
    why: str = ""
    task: str = ""
    text: str = ""  # the experiment file as written
    records: list[Record] = field(default_factory=list)
    earlier: list[Record] = field(default_factory=list)  # runs of older versions of the file
    groups: list[Group] = field(default_factory=list)
    axes: list[str] = field(default_factory=list)  # that vary between cells
    naming: list[str] = field(default_factory=list)  # those that tell cells apart, for labels
    fixed: dict[str, Any] = field(default_factory=dict)  # matrix keys with one value
    ranking: Ranking = DEFAULT
    scores: list[str] = field(default_factory=list)
    promised: set[str] = field(default_factory=set)  # scores that `expect` speaks of
    planned: int = 0
    missing: list[str] = field(default_factory=list)  # planned cells without a run
    findings: list[Finding] = field(default_factory=list)
    floors: list[dict] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    varies: list[str] = field(default_factory=list)  # dotted settings that differ between cells
    changed: list[str] = field(default_factory=list)
    changed_since: str = ""
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    energy: str = ""  # '310 Wh (whole GPU), 295 W in the mean'; '' where nothing was measured
    price: tuple[float, str] | None = None  # amount, currency
    stale: list[str] = field(default_factory=list)  # ids of runs with older code than the newest
    notes: list[tuple[str, str]] = field(default_factory=list)  # (where, Markdown)

    @property
    def score(self) -> str:
        """The score that leads: of the headline, the table, the curves."""
        return self.ranking.score

    @property
    def states(self) -> dict[str, int]:
        """How many cells are finished, running, failed, ...; planned ones without a run too."""
        found: dict[str, int] = {}
        for record in self.records:
            found[record.status] = found.get(record.status, 0) + 1
        if self.missing:
            found["planned"] = found.get("planned", 0) + len(self.missing)
        return found

    @property
    def complete(self) -> bool:
        """Nothing more will come from the plan."""
        settled = all(r.status in ("finished", "failed") for r in self.records)
        return bool(self.records) and settled and not self.missing

    @property
    def date(self) -> str:
        """Day of the newest event, as 2026-11-20; '' before the first run."""
        return (self.ended or self.started)[:10]

    @property
    def own(self) -> list[Group]:
        """Groups of the plan: no children that went on with other settings."""
        return [g for g in self.groups if not g.child_of]


def collect(store: Any, experiment: str) -> Entry:
    """The entry of `experiment` as far as it is known now: running and failed cells too."""
    plan = store.planned(experiment) or {}
    records = list(_readable(store.runs(experiment)))
    records, earlier, missing = _by_plan(records, _cells(plan))
    entry = Entry(experiment, records=records, earlier=earlier, missing=missing)
    entry.planned = len(records) + len(missing) - sum(r.heir for r in records)
    entry.text = str(plan.get("text") or "")
    config = records[0].config if records else {}
    entry.why, entry.task = str(config.get("why") or ""), str(config.get("task") or "")
    entry.groups = gather(records)
    names = axis_names(records)
    entry.axes = [a for a in names if _varies(entry.groups, a)]
    entry.naming = naming(entry.groups, entry.axes)
    entry.fixed = {a: records[0].axes.get(a) for a in names if a not in entry.axes}
    entry.scores = list(dict.fromkeys(s for r in records for s in r.scores))
    entry.ranking = ranking(records, entry.scores)
    entry.findings = grouped_findings(records)
    entry.floors = distinct_floors(records)
    expect = config.get("expect") or []
    of = partial(better, records=records)
    entry.promises = check(expect, entry.groups, names, entry.complete, of)
    entry.promised = scores_of(expect)
    entry.edges = [e for r in records for e in lineage_of(r)]
    entry.varies = [p for p in varying(records) if p != "training.seed"]
    _history(entry)
    _costs(entry, config)
    entry.notes = [(r.name, r.notes) for r in records if r.notes.strip()]
    return entry


def _varies(groups: list[Group], axis: str) -> bool:
    absent = any(g.axes.get(axis) is None for g in groups)
    return len(domain(groups, axis)) + absent > 1


def _cells(plan: Mapping) -> dict[str, str]:
    """Planned slug -> id ('' where the plan does not say), whatever else the plan holds."""
    cells = plan.get("cells", plan) or {}
    if isinstance(cells, Mapping):
        pairs = [(s, c.get("id") if isinstance(c, Mapping) else c) for s, c in cells.items()]
    else:
        pairs = [(c.get("slug"), c.get("id")) if isinstance(c, Mapping) else (c, "") for c in cells]
    return {str(s): str(i) if isinstance(i, str) else "" for s, i in pairs if s}


def _by_plan(
    records: list[Record], cells: dict[str, str]
) -> tuple[list[Record], list[Record], list[str]]:
    """(runs of the present plan in its order with their children, older runs, missing slugs)."""
    if not cells:
        return sorted(records, key=lambda r: (r.started, r.name)), [], []
    current = {r.id: r for r in records if r.slug in cells and cells[r.slug] in ("", r.id)}
    grown = True
    while grown:  # children of children
        heirs = [
            r
            for r in records
            if r.id not in current and r.heir and r.parent["run"] in current
        ]  # fmt: skip
        current |= {r.id: r for r in heirs}
        grown = bool(heirs)
    order = {slug: n for n, slug in enumerate(cells)}
    found = sorted(
        current.values(),
        key=lambda r: (order.get(r.slug, len(order)), r.heir, r.started, r.id),
    )
    have = {r.slug for r in found}
    return found, [r for r in records if r.id not in current], [s for s in cells if s not in have]


def _readable(runs: Iterable[Any]) -> Iterator[Record]:
    """Records of the runs; one that is damaged must not hide the others, `status` names it."""
    for run in runs:
        try:
            yield read_run(run)
        except FamulusError:
            continue


def grouped_findings(records: list[Record]) -> list[Finding]:
    """One finding a cause, the most severe and most frequent first; below each what it explains."""
    by_cause: dict[str, list[tuple[dict, Record]]] = {}
    for record in records:
        newest = {str(f.get("cause")): f for f in record.findings}
        for cause, finding in newest.items():
            by_cause.setdefault(cause, []).append((finding, record))
    found = []
    for cause, seen in by_cause.items():
        worst = max(seen, key=lambda s: _rank(s[0].get("severity")))[0]
        found.append(
            Finding(
                cause,
                str(worst.get("severity") or "info"),
                str(worst.get("evidence") or ""),
                str(worst.get("remedy") or ""),
                worst.get("step"),
                tuple(r for _, r in seen),
                str(worst.get("under") or ""),
            )
        )
    found.sort(key=lambda f: (-_rank(f.severity), -len(f.runs), f.cause))
    alone = {f.cause for f in found if not f.under}
    roots = [f for f in found if not f.under or f.under not in alone]
    below = [f for f in found if f not in roots]
    return [f for root in roots for f in (root, *(b for b in below if b.under == root.cause))]


def _rank(severity: Any) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0


def distinct_floors(records: list[Record]) -> list[dict]:
    """Floors that hold for all runs alike; those that differ between cells stay with their runs."""
    by_kind: dict[tuple, set[float]] = {}
    for record in records:
        for floor in record.floors:
            key = (str(floor.get("score")), str(floor.get("means")))
            by_kind.setdefault(key, set()).add(float(floor["value"]))
    return [
        {"score": score, "means": means, "low": min(values), "high": max(values)}
        for (score, means), values in by_kind.items()
    ]


def lineage_of(record: Record) -> list[Edge]:
    """What a run stands on, as its lineage says."""
    edges = []
    if record.parent:
        parent, at = record.parent, record.parent.get("checkpoint")
        edges.append(Edge(record.id, str(parent["run"]), parent["kind"], _checkpoint(at)))
    for line in record.lineage[:1]:
        parents = line.get("parents")
        for name, one in parents.items() if isinstance(parents, Mapping) else ():
            run = one.get("run") if isinstance(one, Mapping) else one
            at = one.get("checkpoint") if isinstance(one, Mapping) else None
            edges.append(Edge(record.id, str(run), str(name), _checkpoint(at)))
    return edges


def _checkpoint(at: Any) -> str:
    at = at.get("step") if isinstance(at, Mapping) else at
    return "" if at is None else str(at)


def _history(entry: Entry) -> None:
    """Dates, the difference from the last version, runs whose code is older than the newest's."""
    records = entry.records
    entry.started = min((r.started for r in records if r.started), default="")
    entry.ended = max((r.ended for r in records if r.ended), default="")
    old = last_version(entry.earlier)
    if old and records:
        entry.changed = differences(old, [r for r in records if not r.heir])
        entry.changed_since = max(r.started for r in old)[:10]
    coded = [r for r in records if r.code]
    if coded:
        newest = max(coded, key=lambda r: (r.started, r.id)).code
        entry.stale = [r.id for r in coded if r.code != newest]


def told_energy(records: list[Record]) -> str:
    """'310 Wh (whole GPU), 295 W in the mean'; of how many runs, if not all; '' if none."""
    metered = [r for r in records if r.energy_wh]
    if not metered:
        return ""
    energy_wh = sum(r.own_energy_wh for r in metered)
    seconds = sum(r.own_seconds for r in metered)
    devices = ", ".join(dict.fromkeys(r.energy_of for r in metered))
    mean = f", {figure(energy_wh * 3600 / seconds)} W in the mean" if seconds else ""
    some = f" of {len(metered)} of {len(records)} runs" if len(metered) < len(records) else ""
    return f"{figure(energy_wh)} Wh{some} (whole {devices}){mean}"


def _costs(entry: Entry, config: Mapping) -> None:
    entry.seconds = sum(r.own_seconds for r in entry.records)
    entry.energy = told_energy(entry.records)
    cost = config.get("cost") or {}
    if cost.get("per_hour"):
        amount = float(cost["per_hour"]) * entry.seconds / 3600
        entry.price = (amount, str(cost.get("currency") or "EUR"))
