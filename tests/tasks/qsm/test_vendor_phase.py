"""Turned slices along each axis, in noise, and what must not be taken for them."""

import numpy as np
import pytest

from famulus.tasks.qsm.vendor_phase import turned_axis

SHAPE = (12, 14, 16)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[1:-1, 2:-2, 2:-2] = True


def phase(noise=0.1, slope=0.0):
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    smooth = 3 * np.sin(2 * z + y) + 2 * x * y + slope * z * SHAPE[0] / 2
    return smooth + np.random.default_rng(0).normal(0, noise, SHAPE)


def wrapped(values):
    return np.angle(np.exp(1j * values)).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_is_found(axis, noise):
    shape = [-1 if a == axis else 1 for a in range(3)]
    turned = phase(noise) + np.pi * (np.arange(SHAPE[axis]) % 2).reshape(shape)
    assert turned_axis(wrapped(turned), INSIDE) == axis


@pytest.mark.parametrize(
    "values",
    [
        phase(0.0),
        phase(0.8),
        phase(0.1, slope=1.5),  # steep, but not half a turn a slice
        np.random.default_rng(1).uniform(-np.pi, np.pi, SHAPE),
        np.zeros(SHAPE),
    ],
)
def test_other_phases_have_none(values):
    assert turned_axis(wrapped(values), INSIDE) is None
