"""The runs of an experiment beside its plan: those of the present file, older and missing ones."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from famulus.config.errors import FamulusError
from famulus.journal.facts.curves import Event
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

    @property
    def all(self) -> tuple[Record, ...]:
        return self.records + self.earlier

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
    records = list(_readable(store.runs(experiment)))
    if not cells:
        return Runs(text, tuple(sorted(records, key=lambda r: (r.started, r.name))), (), ())
    # the id too: a cell of an older version may bear the same name
    current = {r.id: r for r in records if r.slug in cells and cells[r.slug] in ("", r.id)}
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
    return Runs(text, tuple(planned), earlier, tuple(s for s in cells if s not in slugs))


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
