"""How wide a forecast is and how far it goes, in closed form: settings of which one counts."""

import math

import numpy as np
import pytest
from scipy import stats

from famulus.diagnosis.foresight.forecast import Forecast, Refusal, Settings, forecast

N = 1_000_000
NOTHING = (0.0,) * 4


def constant(inputs):
    return 1.0


def power(b, share, points=60, first=0.005):
    """L = S^-b under a constant rate: a straight line in the logarithms."""
    at = np.geomspace(first, share, points)
    return [(x * N, float(x**-b)) for x in at]


def ahead(history, settings, noise=None, **more):
    return forecast(history, constant, N, noise, settings=settings, **more)


@pytest.mark.parametrize("noise", [0.02, 0.1])
@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_an_interval_holds_80_percent_of_the_noise_at_least(noise, factor):
    result = ahead(power(0.5, 0.1), Settings(NOTHING, 0.0, 0.0, -factor, factor), noise)
    half = max(factor, stats.norm.ppf(0.9)) * noise
    assert math.log(result.high / result.value) == pytest.approx(half, rel=1e-3)
    assert math.log(result.value / result.low) == pytest.approx(half, rel=1e-3)


def test_the_noise_is_that_of_the_last_validations_around_the_curve():
    """With one degree of freedom less: five of them, in ln, at +s, -s, +s, -s and 0."""
    s, train = 0.05, power(0.5, 0.1, points=400)
    recent = [(n, (n / N) ** -0.5) for n in np.linspace(0.065, 0.1, 5) * N]
    val = [(n, v * math.exp(s * e)) for (n, v), e in zip(recent, (1, -1, 1, -1, 0), strict=True)]
    result = ahead(val, Settings(NOTHING, 0.0, 0.0, -0.1, 0.1), train=train)
    assert math.log(result.high / result.value) == pytest.approx(stats.norm.ppf(0.9) * s, rel=0.03)


@pytest.mark.parametrize(("width", "kind"), [(11.5, Forecast), (12.5, Refusal)])
def test_an_interval_over_a_factor_of_twelve_says_nothing(width, kind):
    half = math.log(width) / 2 / 0.1
    result = ahead(power(0.5, 0.1), Settings(NOTHING, 0.0, 0.0, -half, half), 0.1)
    assert isinstance(result, kind)


@pytest.mark.parametrize(("share", "kind"), [(0.0199, Refusal), (0.0201, Forecast)])
def test_before_a_fiftieth_of_the_run_nothing_is_told(share, kind):
    result = ahead(power(0.5, share), Settings(NOTHING, 0.1, 0.0, -1.0, 1.0))
    assert isinstance(result, kind)


@pytest.mark.parametrize(
    ("b", "share", "fall"),
    [
        (0.5, 0.1, 0.5 * math.log(10)),  # as the line goes on
        (1.0, 0.05, math.log(20)),
        (1.1, 0.025, 3.6),  # of b R = 4.06: no curve behind the settings fell further
        (1.5, 0.1, 1.2 * math.log(10)),  # no steeper than 1.2
    ],
)
def test_the_fall_to_come_is_the_slope_times_the_way(b, share, fall):
    seen = power(b, share, points=200)
    result = ahead(seen, Settings((1.0, 0.0, 0.0, 0.0), 0.0, 0.0, -1.0, 1.0), 0.01)
    assert math.log(seen[-1][1] / result.value) == pytest.approx(fall, rel=0.05)
