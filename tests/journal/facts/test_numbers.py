import math

import pytest

from famulus.journal.facts import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0157305, "0.0157"), (1234.5, "1,234"), (0, "0"), (None, ""), (math.nan, "NaN"),
     (3.2e-7, "3.20e-7"), (2608.4, "2,608"), (0.99951, "1.00"), (-0.5, "-0.500"), (12.5, "12.5")],
)  # fmt: skip
def test_three_digits(value, text):
    assert numbers.figure(value) == text


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [(0.034912, 0.000512, "0.0349 ± 0.0005"), (0.034912, 0.000127, "0.03491 ± 0.00013"),
     (12.34, 2.1, "12 ± 2"), (0.0349, None, "0.0349"), (0.0349, 0.0, "0.0349"),
     (0.5, math.nan, "0.500"), (0.034912, 0.00096, "0.0349 ± 0.0010")],
)  # fmt: skip
def test_a_mean_is_rounded_by_its_spread(mean, spread, text):
    assert numbers.pm(mean, spread) == text


def test_rounding_loses_less_than_the_spread():
    for k in range(1, 400):
        mean, spread = 0.017 * k, 0.0007 * (k % 37 + 1)
        shown, around = numbers.with_spread(mean, spread)
        assert abs(float(shown) - mean) <= spread
        assert abs(float(around) - spread) <= 0.5 * spread


def test_counts_times_and_values():
    assert [numbers.count(n) for n in (640, 512_000, 1_000_000)] == ["640", "512 k", "1 M"]
    times = [numbers.duration(s) for s in (38, 252, 6720, 90_000, None)]
    assert times == ["38 s", "4.2 min", "1 h 52 min", "1 d 1 h", ""]
    values = (None, True, 0.001, 1e-7, [1, 2], "x")
    assert [numbers.plain(v) for v in values] == ["", "true", "0.001", "1e-07", "1, 2", "x"]
    assert numbers.percent_range(0.219, 0.382) == "22–38 %"
