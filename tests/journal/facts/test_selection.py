"""Views of the table: sorted, narrowed and averaged rows of the journal's own 36."""

import statistics

import pytest
from benchmarks.reference_rows import read

from famulus.config.errors import ConfigError
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.selection import average_over, select, sort, with_extremes
from famulus.journal.facts.table import build
from tests.journal.runs import group

AXES = ["ds", "aa", "res", "lr"]


@pytest.fixture
def table():
    groups = [group(axes, loss, key=n) for n, (axes, loss, _) in enumerate(read())]
    return build(groups, AXES, Ranking(), ["val/loss"])


def test_sorting_is_stable_over_several_keys_and_blanks_come_last(table):
    rows = sort(table, ["-lr", "res", "ds-"]).rows
    got = [(r.cells["lr"], r.cells["res"], r.cells["ds"]) for r in rows]
    want = [(a["lr"], a["res"], a["ds"]) for a, _, _ in read()]
    for key, down in ((2, True), (1, False), (0, True)):
        want.sort(key=lambda t, k=key: t[k], reverse=down)
    assert got == want
    aa = [r.cells["aa"] for r in sort(table, ["-aa"]).rows]
    assert aa[-12:] == [None] * 12


def test_columns_join_and_leave_by_substring(table):
    assert "seed" not in select(table).names
    assert "seed" in select(table, include=["see"]).names
    assert not {"minutes", "meter"} & set(select(table, exclude=["m"]).names)
    with pytest.raises(ConfigError, match="received 'nothing'"):
        select(table, include=["nothing"])


def test_the_budget_in_a_title_is_no_part_of_its_name():
    groups = [group({"lr": n}, 0.1 * n, key=n) for n in (1, 2)]
    for one in groups:
        one.records[0].done["inputs"] = 25_600
    table = build(groups, ["lr"], Ranking(), ["val/loss"])
    shown = select(table, exclude=["inputs"]).names
    assert "val/loss (25.6 k inputs)" in shown
    assert "inputs/s" not in shown
    assert "val/loss (25.6 k inputs)" not in select(table, exclude=["val/loss"]).names


def test_an_axis_is_averaged_away_with_its_extremes():
    groups = [group(axes, loss, key=n) for n, (axes, loss, _) in enumerate(read())]
    merged, axes = average_over(groups, AXES, "lr")
    table = with_extremes(build(merged, axes, Ranking(), ["val/loss"]))
    line = next(
        r.cells for r in table.rows
        if (r.cells["ds"], r.cells["aa"], r.cells["res"]) == ("mnist", None, 28)
    )  # fmt: skip
    four = [0.0351929, 0.0357742, 0.0326754, 0.0321101]
    assert line["val/loss"].mean == pytest.approx(statistics.mean(four))
    got = [line[f"val/loss ({k})"] for k in ("n", "min", "max", "std")]
    assert got == pytest.approx([4, min(four), max(four), statistics.stdev(four)])
    with pytest.raises(ConfigError, match="an axis to average over"):
        average_over(groups, AXES, "colour")
