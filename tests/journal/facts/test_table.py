"""The table against the journal's own 36 rows, and against numpy."""

import csv
import io
import json

import pytest
from benchmarks.reference_rows import read

from famulus.config.errors import ConfigError
from famulus.journal.facts.expect import scores_of
from famulus.journal.facts.group import Group
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.selection import average_over, select
from famulus.journal.facts.table import build, meter
from famulus.journal.pages import render
from tests.journal.runs import group, record

AXES = ["ds", "aa", "res", "lr"]


@pytest.fixture
def table():
    groups = [group(axes, loss, key=n) for n, (axes, loss, _) in enumerate(read())]
    return build(groups, AXES, Ranking(), ["val/loss"])


def test_the_meter_gives_all_36_rows_turned(table):
    """The notebook's has 1 star for the best and 21 for the worst row; ours is its mirror."""
    assert [r.cells["meter"] for r in table.rows] == [22 - stars for _, _, stars in read()]


def test_a_meter_without_the_first_star_is_seen():  # proof that the test can fail
    losses = [loss for _, loss, _ in read()]
    low, high = min(losses), max(losses)
    broken = [int((v - low) / (high - low) * 20) for v in losses]
    assert broken != [stars for _, _, stars in read()]


def test_the_longest_bar_is_the_best_whichever_way_is_better():
    groups = [group({"a": n}, n / 4, key=n) for n in (1, 2, 3)]
    for way, bars in (("lower", [21, 11, 1]), ("higher", [1, 11, 21])):
        made = build(groups, ["a"], Ranking("val/loss", way), ["val/loss"])
        assert [r.cells["meter"] for r in made.rows] == bars


def test_equal_values_are_all_best():
    assert meter(0.3, 0.3, 0.3) == 21


def test_an_axis_may_have_the_name_of_a_column():
    groups = [group({"steps": n, "seed": 7}, 0.1 * n, key=n) for n in (26, 200)]
    made = build(groups, ["steps", "seed"], Ranking(), ["val/loss"])
    assert [r.cells["steps"] for r in made.rows] == [26, 200]
    assert [r.cells["seed"] for r in made.rows] == [7, 7]
    assert [c.name for c in made.columns if c.name == "steps"] == ["steps"]
    assert next(c for c in made.columns if c.name == "steps").kind == "axis"


def test_scores_that_the_file_promises_are_shown_beside_the_leading_one():
    expect = [
        {"order": "val/auc", "by": "lr", "says": "1 < 2"},
        {"score": "val/loss", "value": 1, "within": 0.1},
        {"finding": "none"},
    ]
    assert scores_of(expect) == ["val/auc", "val/loss"]
    assert scores_of([]) == []
    scores = ["val/loss", "val/auc", "val/dice"]
    for promised, hidden in ((scores_of(expect), {"val/dice"}), ((), {"val/auc", "val/dice"})):
        made = build([group({"lr": 1}, 0.5)], ["lr"], Ranking(), scores, expected=promised)
        assert {c.name for c in made.columns if c.name in scores and not c.shown} == hidden


def test_memory_on_a_cpu_is_shown_where_a_page_has_room():
    for axes, shown in ((["lr"], True), ([f"axis{n}" for n in range(7)], False)):
        one = group({a: 1 for a in axes}, 0.5)
        one.records[0].facts["memory_mb"] = 700.0
        made = build([one], axes, Ranking(), ["val/loss"])
        assert [c.shown for c in made.columns if c.name == "memory (MB)"] == [shown]


def test_a_key_that_does_not_apply_is_a_blank_cell(table):
    lines = list(csv.DictReader(io.StringIO(render.as_csv(table))))
    blanks = [n for n, (axes, _, _) in enumerate(read()) if "aa" not in axes]
    assert [n for n, line in enumerate(lines) if line["aa"] == ""] == blanks
    assert len(blanks) == 12


def test_a_count_of_parameters_stands_only_where_all_runs_share_it():
    groups = [group({"size": 12}, 0.1, key=0), group({"size": 16}, 0.2, key=1)]
    for one, parameters in zip(groups, (27_261, 58_941), strict=True):
        one.records[0].facts["parameters"] = parameters
    alone = build(groups, ["size"], Ranking(), ["val/loss"])
    assert [r.cells["parameters"] for r in alone.rows] == [27_261, 58_941]
    merged = build(*average_over(groups, ["size"], "size"), Ranking(), ["val/loss"])
    assert merged.rows[0].cells["parameters"] is None


def test_replicates_give_mean_and_spread():
    table = build([group({"a": 1}, 0.030, 0.034, 0.032)], ["a"], Ranking(), ["val/loss"])
    cell = table.rows[0].cells["val/loss"]
    assert (cell.mean, cell.std, cell.n) == pytest.approx((0.032, 0.002, 3))
    assert "0.032 ± 0.002" in render.text(table)


def test_an_unfinished_cell_does_not_stretch_the_meter():
    groups = [group({"a": 1}, 0.1), group({"a": 2}, 0.2), group({"a": 3}, 9.0, status="failed")]
    table = build(groups, ["a"], Ranking(), ["val/loss"])
    assert [r.cells["meter"] for r in table.rows] == [21, 1, None]


def test_markdown_and_latex_escape_what_would_break_them():
    table = build([group({"a|b": "x|y_1 & 100%"}, 0.5)], ["a|b"], Ranking(), ["val/loss"])
    marked = render.markdown(select(table)).splitlines()
    assert r"x\|y" in marked[2]
    unescaped = [line.replace(r"\|", "").count("|") for line in marked]
    assert len(set(unescaped)) == 1
    assert r"x|y\_1 \& 100\%" in render.latex(select(table))


def test_csv_keeps_every_digit_and_runs_nothing():
    groups = [group({"a": "=HYPERLINK(1)"}, 0.1 + 0.2)]
    out = render.as_csv(build(groups, ["a"], Ranking(), ["val/loss"]))
    line = next(csv.DictReader(io.StringIO(out)))
    assert line["a"] == "'=HYPERLINK(1)"
    assert float(line["val/loss"]) == 0.1 + 0.2


def test_json_can_be_read_back(table):
    lines = json.loads(render.render(table, "json"))["rows"]
    assert [line["val/loss"] for line in lines] == [loss for _, loss, _ in read()]
    with pytest.raises(ConfigError, match="expected a format"):
        render.render(table, "xls")


def test_the_budget_is_in_the_title_only_if_all_agree():
    one, two = record({"a": 1}, 0.1), record({"a": 2}, 0.2)
    one.done["inputs"] = two.done["inputs"] = 1_000_000
    groups = [Group(0, one.axes, (one,)), Group(1, two.axes, (two,))]
    assert "val/loss (1 M inputs)" in build(groups, ["a"], Ranking(), []).names
    two.done["inputs"] = 5
    assert "val/loss" in build(groups, ["a"], Ranking(), []).names
