import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    times = [numbers.duration(s) for s in (0.04, 0.000667, 0, 0.9996, 59.97, 599, 3599.9, 86_399)]
    assert times == ["40 ms", "< 1 ms", "0 s", "1 s", "1.0 min", "10 min", "1 h 0 min", "1 d 0 h"]
    values = (None, True, 0.001, 1e-7, [1, 2], "x")
    assert [numbers.plain(v) for v in values] == ["", "true", "0.001", "1e-07", "1, 2", "x"]
    assert numbers.percent_range(0.219, 0.382) == "22–38 %"


@given(st.floats(1e-3, 1e8))
def test_a_duration_is_what_a_person_reads_back(seconds):
    sizes = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
    words = numbers.duration(seconds).split()
    parts = list(zip(map(float, words[::2]), (sizes[u] for u in words[1::2]), strict=True))
    assert sum(n * size for n, size in parts) == pytest.approx(seconds, rel=0.02)
    # a part never reaches the next unit: no 60 s, no 24 h
    upper = {1e-3: 1000, 1.0: 60, 60.0: 60, 3600.0: 24, 86_400.0: 1e9}
    assert all(n < upper[size] for n, size in parts)
    assert all(len(word) <= 5 and "e" not in word for word in words[::2])


def test_a_share_that_is_not_0_never_reads_as_0():
    shares = (0, 0.0004, 0.0006, 0.013, 0.5, -0.0001)
    words = ["0 %", "< 0.1 %", "0.1 %", "1.3 %", "50 %", "> \u22120.1 %"]
    assert [numbers.percent(s) for s in shares] == words


def test_the_unit_of_times_fits_their_size():
    assert [numbers.time_unit(s)[0] for s in (0.04, 40, 3000, 20_000, 1e6)] == [
        "ms", "s", "min", "h", "d",
    ]  # fmt: skip
