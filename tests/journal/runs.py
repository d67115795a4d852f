"""Bare records and groups, without a store, for tests of pure functions."""

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.cost import cost_of
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.group import Group
from famulus.journal.facts.history import history_of
from famulus.journal.facts.ranking import ranking, score_names
from famulus.journal.facts.record import Record
from famulus.journal.facts.runs import Runs
from famulus.journal.facts.table import build


def record(axes=None, score=None, status="finished", replicate=1, **more) -> Record:
    done = {"scores": {"val/loss": score}} if score is not None else {}
    known = {"run": None, "id": f"{abs(hash((str(axes), replicate))):012x}"[:12], "slug": "cell"}
    known |= {"experiment": "e", "config": {"training": {"seed": replicate}}, "status": status}
    known |= {"done": done, "axes": dict(axes or {}), "replicate": replicate}
    return Record(**(known | more))


def metered(batch, energy_wh=None, inputs=2_000, seconds=360.0, **more) -> Record:
    """A finished run of so much energy; None: not measured."""
    done = {"scores": {"val/loss": 0.5}, "inputs": inputs, "seconds": seconds, "step": 10}
    if energy_wh is not None:
        watts = energy_wh * 3600 / seconds
        done |= {"energy_wh": energy_wh, "energy_of": "GPU", "watts": watts}
    return record({"batch": batch}, 0.5, **{"done": done, **more})


def group(axes, *scores, status="finished", findings=(), key=0) -> Group:
    """One cell, a replicate a score; a score of None is a run without one."""
    runs = [
        record(axes, s, status, n, findings=tuple(findings)) for n, s in enumerate(scores, start=1)
    ]
    return Group(key, dict(axes), tuple(runs))


def entry_of(*runs) -> Entry:
    """An entry of cells along `lr` with one run each; without findings, floors and promises."""
    cells = Cells(tuple(Group(n, r.axes, (r,)) for n, r in enumerate(runs)), ("lr",), ("lr",))
    scores, plan = score_names(runs), Runs("", tuple(runs), (), ())
    ranked = ranking(runs, scores)
    table = build(cells.groups, cells.axes, ranked, scores)
    return Entry("e", "", "", plan, cells, ranked, table, (), (), (), (), (), history_of(plan),
                 cost_of(runs))  # fmt: skip
