"""The runs of an experiment beside its plan: those of the present file, older and missing ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from famulus.config.errors import FamulusError
from famulus.journal.facts.curves import Event
from famulus.journal.facts.overridden import repeated, with_overrides
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.store.run import Run
from famulus.store.store import Store


@dataclass(frozen=True)
class Runs:
    """`records` are in the order of the plan, children that went on with other settings last."""

    text: str  # the experiment file as written
    records: tuple[Record, ...]
    earlier: tuple[Record, ...]  # of older versions of the file
    missing: tuple[str, ...]  # planned cells without a run
    repetitions: tuple[Record, ...] = ()  # by `famulus rerun`: of a cell and a seed that are there
    overrides: tuple[str, ...] = ()  # what was set beside the file as written
    source: str = ""  # place of the file, as the plan keeps it
    expect: tuple[Event, ...] = ()  # dated expectations: see store/expectations.py
    gone: Mapping[str, str] = field(default_factory=dict)  # id of a run -> id of its lost parent

    @property
    def all(self) -> tuple[Record, ...]:
        return self.records + self.repetitions + self.earlier

    @property
    def losses(self) -> list[str]:
        """A sentence for each run of the plan whose parent was removed."""
        orphans = [r for r in self.records if r.id in self.gone]
        words = {True: "its curve begins at the fork", False: "only its weights came from there"}
        return [f"{r.id}: its parent {self.gone[r.id]} is gone; {words[r.heir]}" for r in orphans]

    @property
    def noted(self) -> list[Record]:
        """Those of the plan with notes of the person's."""
        return [r for r in self.records if r.notes.strip()]

    @property
    def config(self) -> Event:
        """The filled configuration of the first run: what all share is the same in each."""
        return self.records[0].config if self.records else {}

    @property
    def states(self) -> Counter[str]:
        """How many cells are finished, running, failed, ...; planned ones without a run too."""
        return Counter([*(r.status for r in self.records), *("planned" for _ in self.missing)])

    @property
    def complete(self) -> bool:
        """Nothing more will come from the plan."""
        # an interrupted run may yet go on
        settled = all(r.status in ("finished", "failed") for r in self.records)
        return bool(self.records) and settled and not self.missing


def runs_of(store: Store, experiment: str) -> Runs:
    """All that the store has of an experiment: running and failed cells too."""
    plan = store.planned(experiment) or {}
    text, cells = str(plan.get("text") or ""), _cells(plan)
    every = list(_readable(store.runs(experiment)))
    # no version of the file and no replicate: the same run once more
    repetitions = tuple(r for r in every if r.repeats)
    records = [r for r in every if not r.repeats]
    gone = {r.id: str(r.parent["run"]) for r in records if r.parent and r.run.parent() is None}
    more: dict[str, Any] = {"gone": gone}
    if not cells:
        ordered = sorted(records, key=lambda r: (r.started, r.name))
        shown = tuple(with_overrides(ordered, text))
        return Runs(text, shown, (), (), repeated(repetitions, shown), **more)
    # the id too: a cell of an older version may bear the same name
    current = {r.id: r for r in records if r.slug in cells and cells[r.slug] in ("", r.id)}
    # one whose parent was removed still stands for its cell
    current |= {r.id: r for r in records if r.heir and r.id in gone and r.slug in cells}
    grown = True
    # a child may stand before its parent in the store
    while grown:  # children of children
        heirs = [
            r for r in records if r.id not in current and r.heir and r.parent["run"] in current
        ]
        current |= {r.id: r for r in heirs}
        grown = bool(heirs)
    place = {slug: n for n, slug in enumerate(cells)}
    planned = sorted(
        current.values(), key=lambda r: (place.get(r.slug, len(place)), r.heir, r.started, r.id)
    )
    slugs = {r.slug for r in planned}
    earlier = tuple(r for r in records if r.id not in current)
    more |= {"overrides": tuple(map(str, plan.get("overrides") or ()))}
    more |= {"source": store.source(experiment) or ""}
    more |= {"expect": _expectations(plan, planned)}
    missing = tuple(s for s in cells if s not in slugs)
    shown = tuple(with_overrides(planned, text))
    return Runs(text, shown, earlier, missing, repeated(repetitions, shown), **more)


def _expectations(plan: Mapping[str, Any], records: Sequence[Record]) -> tuple[Event, ...]:
    """The plan's; of 0.1.0, which dated none, those of its runs: each has in its own settings what
    was expected before its first step."""
    stored = plan.get("expect")
    if isinstance(stored, Sequence) and not isinstance(stored, str):
        return tuple(dict(e) for e in stored if isinstance(e, Mapping) and e.get("entry"))
    newest = max(records, key=lambda r: (r.started, r.id), default=None)
    entries = newest.config.get("expect") or [] if newest else []
    return tuple(
        {"entry": e, "results": [r.id for r in records if e not in (r.config.get("expect") or [])]}
        for e in entries
    )


def _cells(plan: Mapping[str, Any]) -> dict[str, str]:
    """Planned slug -> id ('' where the plan does not say), whatever else the plan holds."""
    cells = plan.get("cells", plan) or {}
    if isinstance(cells, Mapping):
        pairs = [(s, c.get("id") if isinstance(c, Mapping) else c) for s, c in cells.items()]
    else:
        pairs = [(c.get("slug"), c.get("id")) if isinstance(c, Mapping) else (c, "") for c in cells]
    return {str(s): str(i) if isinstance(i, str) else "" for s, i in pairs if s}


def _readable(runs: Iterable[Run]) -> Iterator[Record]:
    """Records of the runs; one that is damaged must not hide the others, `status` names it."""
    for run in runs:
        try:
            yield read_run(run)
        except FamulusError:
            continue
