"""Layers on a run's page and side by side, from probe events that are written down here."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from famulus.journal.facts import layers as facts
from famulus.journal.facts.curves import Series
from famulus.journal.facts.group import Group
from famulus.journal.facts.layers_compare import layer_rows
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.selection import select
from famulus.journal.facts.table import build
from famulus.journal.pages.compare import compare
from famulus.journal.pages.layers_page import Axis, axis_of, bar, rows, spark
from famulus.journal.pages.site import write
from famulus.store.claims import claim
from famulus.store.store import Store
from tests.journal.runs import record

QUIET = {"zeros": 0.0, "dead": 0.0, "saturated": None}


def layer(name, grad=0.1, **more):
    base = {"name": name, "type": "Linear", "numbers": 6, "weight": 0.5, "grad": grad}
    base |= {"update": 0.001, "moved": True, "trainable": True, "held": True, "mean": 0.1}
    return {**base, "std": 0.5, **QUIET, **more}


def event(step, *found, **more):
    base = {"kind": "probe", "step": step, "inputs": step * 8, "layers": list(found), "batch": {}}
    return {**base, "rank": None, "memory_mb": 100.0 + step, **more}


def test_events_become_arrays_and_gaps_stay_gaps():
    first = event(0, layer("a"), layer("gone"))
    read = facts.read([first, {"kind": "probe"}, event(4, layer("a", 0.2), layer("b", None))])
    assert read.names == ("a", "b")
    assert read.step.tolist() == [0, 4]
    np.testing.assert_allclose(read.values["grad"], [[0.1, np.nan], [0.2, np.nan]])
    np.testing.assert_allclose(read.ratio[:, 0], 0.002)
    assert facts.read([]) is None


def test_many_samples_are_thinned_and_the_ends_stay():
    read = facts.read([event(step, layer("a")) for step in range(1000)])
    assert len(read.step) == 48
    assert (read.step[0], read.step[-1]) == (0, 999)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"trainable": False, "grad": None}, "frozen"),
        ({"held": False}, "not in the optimizer"),
        ({"grad": None}, "no gradient"),
        ({"moved": False}, "does not move"),
        ({"numbers": 0, "grad": None}, ""),
    ],
)
def test_why_a_layer_has_no_update(changes, says):
    read = facts.read([event(0, layer("a", **changes))])
    assert read.trouble(0) == says


@pytest.mark.parametrize(
    ("values", "share", "says"),
    [
        ((1.0, 9.9), False, ""),  # ten times
        ((1.0, 10.1), False, "x 10.1"),
        ((0.2, 3.0, 1.0), False, "x 15"),  # the least and the largest of all
        ((0.0, 1e-9), False, "0 in one"),
        ((0.0, 0.0), False, ""),
        ((0.2, 0.44), True, ""),  # a quarter
        ((0.2, 0.46), True, "0.2 to 0.46"),
        ((0.5, None), True, ""),
        ((0.5, float("nan")), False, ""),
    ],
)
def test_what_is_much_between_two_runs(values, share, says):
    assert facts.much(values, share) == says


def test_bars_are_logarithmic():
    axis = axis_of(np.array([[0.0015, 0.4], [np.nan, 0.0]]))
    assert axis == Axis(-3, 0)
    assert axis.x(0.1, 90) == pytest.approx(60)
    assert axis.x(1e-9, 90) == 0
    svg = bar(np.array([0.001, 1.0, 0.1]), axis, 0)
    assert float(re.search(r'rect width="([\d.]+)"', svg)[1]) == pytest.approx(48)  # of 72
    assert re.search(r'class="w" d="M0.0 6.0H72.0"', svg)  # the least and the largest
    assert bar(np.array([np.nan, np.nan]), axis, 0) == ""
    assert spark(np.array([0.1]), axis) == ""
    assert axis_of(np.array([[np.nan]])).low < axis_of(np.array([[np.nan]])).high


def made(id_, *events):
    return record({}, id=id_, layers=facts.read(list(events)))


def test_side_by_side_at_the_newest_step_that_both_have():
    one = made("1" * 12, event(4, layer("a", 0.1)), event(8, layer("a", 0.5)))
    two = made("2" * 12, event(4, layer("a", 0.2)), event(6, layer("a", 90.0)))
    (row,) = layer_rows([one, two])
    assert [figures["gradient"] for figures in row["runs"].values()] == [0.1, 0.2]
    assert row["differs"] == ""


def test_what_differs_much_is_marked():
    one = made("1" * 12, event(4, layer("a", 0.1), layer("b", dead=0.1), layer("c"), layer("d")))
    two = made("2" * 12, event(4, layer("a", 0.005), layer("b", dead=0.6), layer("c", moved=False)))
    told = {row["layer"]: row["differs"] for row in layer_rows([one, two])}
    assert told["a"] == "gradient x 20"
    assert told["b"] == "dead 0.1 to 0.6"
    assert told["c"] == "does not move in 222222"
    assert told["d"] == "only in 111111"
    assert layer_rows([one, record({})]) == []


@pytest.fixture
def store(tmp_path):
    store = Store.open(str(tmp_path))
    for n, grad in enumerate((0.1, 0.001)):
        config = {"why": "layers?", "task": "toy", "training": {"inputs": 64, "seed": n}}
        run = store.create_run("toy/layers", f"n={n}", f"{n}" * 12, config)
        with claim(run) as attempt:
            for step in (0, 1, 2):
                values = {"total": 1.0 / (1 + step)}
                at = {"step": step, "inputs": 8 * step}
                attempt.emit({"kind": "train", **at, "s": 1.0 * step, "values": values})
                rank = {"layer": "first", "effective": 3.5, "of": 4}
                attempt.emit(event(step, layer("<b>first"), layer("last", grad), rank=rank))
            attempt.finish({"status": "finished", "scores": {"val/loss": 0.5}, "step": 2})
    return store


def test_compare_sets_the_layers_of_runs_side_by_side(store):
    text = compare(store, ["000000", "111111"])
    assert "Layers at step 2" in text
    line = next(line for line in text.splitlines() if line.startswith("last"))
    assert line.endswith("gradient x 100")
    data = json.loads(compare(store, ["000000", "111111"], format="json"))
    assert [row["differs"] for row in data["layers"]] == ["", "gradient x 100"]
    assert "| last |" in compare(store, ["000000", "111111"], format="markdown")
    assert "Layers" not in compare(store, ["000000", "111111"], format="csv")
    assert "Layers" not in compare(store, ["toy/layers"])
    assert "102" in compare(store, ["toy/layers"], include=["memory"])


@pytest.mark.parametrize(("facts", "shown", "most"), [
    ({"device": "cpu"}, False, 901),  # what a process holds between its steps
    ({"device": "cuda:0"}, True, 901),
    ({"device": "cpu", "memory_mb": 3912.5}, True, 3912.5),  # with the peak of a rehearsal
    ({"device": "cpu", "memory_mb": 300.0}, True, 901),
])  # fmt: skip
def test_memory_has_a_column_where_a_peak_is_known(facts, shown, most):
    at = [np.array([0.0, 1.0])] * 3
    runs = [
        record({"net": net}, 0.5, facts=facts, series={"memory (MB)": series})
        for net, series in (("a", Series(*at, at[0] + 100)), ("b", Series(*at, at[0] + 900)))
    ]
    table = select(build([Group(0, {"net": "a"}, tuple(runs))], ["net"], Ranking(), ["val/loss"]))
    assert ("memory (MB)" in table.names) == shown
    assert table.rows[0].cells["memory (MB)"] == most


def test_a_run_s_page_shows_its_layers_escaped(store, tmp_path):
    pages = write(store, None, tmp_path / "out")
    page = next(p for p in map(str, pages) if "runs" in p and p.endswith(".html"))
    text = Path(page).read_text(encoding="utf-8")
    assert "&lt;b&gt;first" in text
    assert "<b>first" not in text
    assert text.count('class="layer c0"') == 2
    assert "rank of first" in text
    assert "memory (MB)" in text


def test_a_layer_that_is_passed_by_is_told():
    shown = rows(facts.read([event(0, layer("used", calls=2), layer("unused", calls=0))]))
    assert [row["shares"] for row in shown["rows"]] == [[], [("", "forward not called")]]


def test_rows_without_any_number_are_drawn():
    empty = dict.fromkeys(("weight", "grad", "update", "mean", "std", "dead", "zeros"))
    shown = rows(facts.read([event(0, {"name": "a", "type": "Odd", "numbers": 3, **empty})]))
    assert shown["rows"][0]["grad"] == ("", "")
