"""Facts of the made-up laboratory against a computation of their own."""

import re
import statistics

import numpy as np
import pytest

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.changes import differences
from famulus.journal.facts.entry import collect
from famulus.journal.facts.group import Group
from famulus.journal.facts.headline import _floors, sentences
from famulus.journal.facts.ranking import Ranking
from tests.journal import conftest as lab
from tests.journal.runs import record

NAME = "tiles/compare-datasets"


@pytest.fixture(scope="module")
def entry(laboratory):
    return collect(laboratory, NAME)


def said(entry) -> str:
    return "\n".join("".join(s) for s in sentences(entry))


def test_cells_and_states(entry):
    assert entry.runs.states == {"finished": 71, "failed": 1, "interrupted": 1}
    assert len(entry.cells.own) == 36
    assert len(entry.cells.groups) == 37
    assert entry.cells.axes == ("set", "filter", "size", "lr")
    assert entry.runs.missing == ()
    assert not entry.runs.complete  # one can still be resumed


def test_means_of_replicates(entry):
    for group in entry.cells.own[:-1]:
        values = [lab.truth(group.axes, seed) for seed in (0, 1)]
        assert group.mean("val/loss", True) == pytest.approx(statistics.mean(values))
        assert group.spread("val/loss", True) == pytest.approx(statistics.stdev(values))


def test_the_best_cell_is_named_first(entry):
    means = {
        str(a): statistics.mean(lab.truth(a, s) for s in (0, 1)) for a in lab.cells()[:-1]
    }  # fmt: skip
    best = min(means, key=means.get)
    axes = next(a for a in lab.cells() if str(a) == best)
    assert f"Best is {axes['set']}, {axes['filter']}, size {axes['size']}" in said(entry)
    assert "17 of 17 pairs" in said(entry)


def test_shares_of_variance_are_those_of_the_analysis(entry):
    keys = ("set", "filter", "size", "lr")
    runs = [(a, s) for a in lab.cells()[:-1] for s in (0, 1)]
    y = np.log([lab.truth(a, s) for a, s in runs])

    def unexplained(axes):
        columns = [np.ones(len(y))]
        for axis in axes:
            values = sorted({str(a[axis]) for a, _ in runs})[1:]
            columns += [np.array([str(a[axis]) == v for a, _ in runs], float) for v in values]
        design = np.stack(columns, 1)
        return ((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum()

    total = ((y - y.mean()) ** 2).sum()
    for axis in ("set", "filter"):
        share = (unexplained([k for k in keys if k != axis]) - unexplained(keys)) / total
        assert re.search(rf"{axis} (explains )?{100 * share:.0f} %", said(entry))


def test_a_failure_is_told_with_its_reason(entry):
    assert (
        "1 run failed: crawl-tiles, nearest, size 32, lr 0.001 (NaN in recon at step 812)"
        in said(entry)
    )


def test_findings_are_grouped_over_cells(entry):
    found = {f.cause: (f.severity, len(f.runs)) for f in entry.findings}
    assert found == {"not-a-number": ("error", 1), "posterior-unused": ("warning", 8)}
    assert entry.findings[0].cause == "not-a-number"


def test_promises(entry):
    assert [p.state for p in entry.promises] == ["kept", "not yet", "not yet", "broken"]


def test_a_resumed_child_is_one_curve_without_doubled_points(entry):
    child = next(r for r in entry.runs.records if r.heir)
    steps = child.series["train/total"].step
    assert np.all(np.diff(steps) > 0)
    assert (steps[0], steps[-1]) == (267, 15_625)
    assert [m["text"] for m in child.marks] == ["resumed, LR 3e-4"]
    assert [(e.kind, e.checkpoint) for e in entry.edges] == [("resume", "8000")]
    group = next(g for g in entry.cells.groups if child in g.records)
    assert group.child_of == child.parent["run"]


def test_differences_from_the_version_before(entry):
    assert entry.history.since == "2026-11-18"
    assert "loss.kl_weight: 0.5 → 1" in entry.history.changes
    assert "matrix set: fashion-mnist, crawl-tiles added" in entry.history.changes
    assert "replicates: 1 → 2" in entry.history.changes
    assert len(entry.history.changes) == 5


def test_no_difference_is_no_line():
    runs = [record({"a": 1}, config={"training": {"batch": 64, "workers": w}}) for w in (1, 2)]
    assert differences(runs[:1], runs[1:]) == []
    runs[1].config["training"]["batch"] = 128
    assert differences(runs[:1], runs[1:]) == ["training.batch: 64 → 128"]


def test_costs(entry):
    hours = entry.cost.seconds / 3600
    assert entry.cost.price == (pytest.approx(0.4 * hours), "EUR")


def test_a_planned_experiment_has_an_entry(empty):
    empty.plan("new/one", "why: x\n", {"a": {"id": "0" * 12}, "b": {"id": "1" * 12}})
    entry = collect(empty, "new/one")
    assert entry.runs.states == {"planned": 2}
    assert said(entry) == "Nothing has been run yet."


def test_a_running_cell_shows_what_is_known_so_far(empty):
    axes = lab.cells()[0]
    empty.plan("e", "", {"a": {"id": lab.run_id(1)}, "b": {"id": lab.run_id(2)}})
    attempt = empty.create_run("e", "a", lab.run_id(1), lab.config(axes)).claim()
    lab.train(attempt, axes, 0, 0, 5000, 3, points=20)
    attempt.flush()
    entry = collect(empty, "e")
    attempt.close()
    assert entry.runs.states == {"running": 1, "planned": 1}
    assert re.search(r"So far a leads .* at 320 k inputs; no cell has finished", said(entry))


def test_events_that_make_no_sense_are_left_out(empty):
    run = empty.create_run("e", "a", lab.run_id(3), lab.config(lab.cells()[0]))
    attempt = run.claim()
    for event in (
        {"kind": "train", "step": 1, "inputs": 64, "s": 1.0, "values": {"total": float("nan")}},
        {"kind": "train", "step": 2, "inputs": 128, "s": 2.0, "values": {"total": "high"}},
        {"kind": "val", "step": 2, "inputs": 128, "s": 2.0, "values": None},
        {"kind": "picture", "name": "x"},
        {"kind": "floor", "score": "loss", "value": None, "means": "zero"},
        {"kind": "new-kind", "what": []},
    ):
        attempt.emit(event)
    attempt.end("interrupted")
    entry = collect(empty, "e")
    assert entry.runs.records[0].series == {}
    assert entry.runs.records[0].pictures == ()


def test_floors_that_are_missed_are_told_apart():
    """Nothing learned is the first floor alone; a rival is beaten or not, a bound is neither."""
    floors = tuple(
        {"score": "loss", "value": v, "means": m}
        for m, v in (("zero image", 1.0), ("TKD", 0.4), ("best possible", 0.1))
    )
    losses = ((1, 2.0), (0.1, 0.45), (2, 0.41), (3, 0.3))
    runs = [record({"lr": lr}, loss, floors=floors) for lr, loss in losses]
    groups = tuple(Group(n, r.axes, (r,)) for n, r in enumerate(runs))
    found = _floors(Cells(groups, ("lr",), ("lr",)), Ranking())
    assert ["".join(s) for s in found] == [
        "lr 1 scored no better than zero image (1.00): nothing was learned there.",
        "lr 0.1 and 1 other cell scored no better than TKD (0.400).",
    ]
