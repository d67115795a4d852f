"""The threshold between two classes, and masks on either side of what is refused."""

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.tasks.qsm.mask_signal import must_hold_signal, otsu

SHAPE = (16, 16, 16)
HEAD = np.zeros(SHAPE, bool)
HEAD[4:12, 3:13, 4:12] = True


@pytest.mark.parametrize("noise", [0.003, 0.1])
def test_otsu_by_brute_force(noise):
    """Of all thresholds between values, that with most variance between the classes."""
    random = np.random.default_rng(0)
    values = np.abs(np.where(HEAD, random.normal(1, 0.2, SHAPE), random.normal(0, noise, SHAPE)))

    def between(t):
        low, high = values[values < t], values[values >= t]
        return low.size * high.size * (low.mean() - high.mean()) ** 2

    best = max(between(t) for t in np.quantile(values, np.linspace(0.01, 0.99, 99)))
    assert between(otsu(values)) > 0.97 * best
    assert otsu(np.ones(SHAPE)) == 1


def magnitude(noise=0.1, bias=0.0):
    """Of a head with a coil that is brighter on one side, in Rician noise."""
    random = np.random.default_rng(1)
    slope = np.exp(bias * np.linspace(-1, 1, 16))[:, None, None]
    real, imag = random.normal(0, noise, (2, *SHAPE))
    return np.hypot(HEAD * slope + real, imag)


@pytest.mark.parametrize("bias", [0, 1])
def test_by_the_magnitude(bias):
    zero = np.ones(SHAPE)
    for inside in (HEAD, np.ones(SHAPE, bool), HEAD & (np.arange(16) < 8)):
        must_hold_signal(inside, magnitude(bias=bias), zero, None, "mask")
    for inside in (~HEAD, np.roll(HEAD, 6, 0)):
        with pytest.raises(DataError, match="is it inverted"):
            must_hold_signal(inside, magnitude(bias=bias), zero, None, "mask")


def test_by_a_phase_alone():
    random = np.random.default_rng(2)
    air = random.uniform(-np.pi, np.pi, SHAPE)
    phase = np.where(HEAD, random.normal(0.5, 0.3, SHAPE), air)
    must_hold_signal(HEAD, None, phase, phase, "mask")
    must_hold_signal(HEAD, None, air, air, "mask")  # nothing to tell by
    with pytest.raises(DataError, match="more than noise"):
        must_hold_signal(~HEAD, None, phase, phase, "mask")
    cut = np.where(HEAD, phase, 0)
    must_hold_signal(HEAD, None, cut, None, "mask")
    with pytest.raises(DataError, match="the phase is not 0"):
        must_hold_signal(~HEAD, None, cut, None, "mask")
