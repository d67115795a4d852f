"""`python -m benchmarks forecast`: halves by the rule that the page prints, scored apart."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.forecast import figures, half, told

from famulus.diagnosis.foresight.backtest import Curve, backtest
from famulus.diagnosis.foresight.forecast import forecast
from tests.journal.facts.test_forecast import run

PAGE = Path(__file__).parents[1] / "docs/tiles.md"
DEVELOPMENT, SCORED = "tiles/long-run", "tiles/first-light"


def test_the_rule_is_that_of_the_page():
    for name in (DEVELOPMENT, SCORED, "cases/tiles-memorises", "cases/tiles-posterior-collapse"):
        last_digit = hashlib.sha256(name.encode()).hexdigest()[-1]
        assert half(name) == ("development" if last_digit in "02468ace" else "scored")
        assert half(name + "-healthy") == half(name)
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("The scored half, by experiment:")[2].partition("\n\n")[2]
    rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    assert len(rows) >= 8
    assert {half(row.split("`")[1]) for row in rows} == {"scored"}


def of(experiment, number):
    return replace(run("finished", number=number), experiment=experiment)


def test_each_half_is_judged_by_its_own_runs():
    early = [of(DEVELOPMENT, n) for n in range(2)]
    late = [of(SCORED, n) for n in range(2, 5)]
    found = figures([*early, *late])
    assert [found[which]["curves"] for which in ("development", "scored", "together")] == [2, 3, 5]
    assert found["scored"] == figures(late)["together"]
    assert found["scored"] != found["development"]
    assert [row["half"] for row in found["experiments"]] == ["scored", "development"]
    assert found["together"]["high_over_low"] > 1
    words = told(found)
    assert "| runs | 2 | 3 | 5 |" in words
    assert f"| `{SCORED}` | scored | 3 | 18 |" in words


def test_a_half_without_a_curve_is_blank():
    found = figures([of(SCORED, n) for n in range(2)])
    assert found["development"]["why"] == "no curve to judge"
    assert "| cut-offs |  | 12 | 12 |" in told(found)
    assert told(figures([])).startswith("| | development")


def test_a_width_is_high_over_low():
    val = [(n, 0.02 + (1 + n / 2000) ** -0.5) for n in range(1000, 100_001, 1000)]
    curve = Curve(val, lambda inputs: 1e-3, 100_000)
    one = forecast([p for p in val if p[0] <= 10_000], curve.rate, 100_000)
    assert backtest([curve], shares=(0.1,)).width == pytest.approx(one.high / one.low)
