"""Facts of the made-up laboratory against a computation of their own."""

import statistics

import numpy as np
import pytest

from famulus.journal.facts.changes import differences
from famulus.journal.facts.entry import collect
from famulus.journal.facts.headline import sentences
from famulus.store.claims import claim
from tests.journal import conftest as lab
from tests.journal.runs import record

NAME = "tiles/compare-datasets"


@pytest.fixture(scope="module")
def entry(laboratory):
    return collect(laboratory, NAME)


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


def test_findings_are_grouped_over_cells(entry):
    found = {f.cause: (f.severity, len(f.runs)) for f in entry.findings}
    assert found == {"not-a-number": ("error", 1), "posterior-unused": ("warning", 8)}
    assert entry.findings[0].cause == "not-a-number"


def test_promises(entry):
    assert [p.state for p in entry.expectations] == [
        "met",
        "not judged yet",
        "not judged yet",
        "not met",
    ]


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
    assert sentences(entry) == [["Nothing has been run yet."]]


def test_events_that_make_no_sense_are_left_out(empty):
    run = empty.create_run("e", "a", lab.run_id(3), lab.config(lab.cells()[0]))
    attempt = claim(run)
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
