"""Wraps are told from steps and from noise: of a ramp that is known, in float64."""

from pathlib import Path

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.tasks.qsm.phase_units import in_rad, looks_like, turn_of_wraps, unit_of

SHAPE = (20, 18, 16)
INSIDE = np.ones(SHAPE, bool)
AT = Path("phase.nii")


def smooth(turns, noise=0.0):
    """Three waves along the axes, `turns` from valley to crest, plus noise in turns."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    random = np.random.default_rng(0)
    return turns * (np.sin(2 * z) + np.cos(2 * y) + x) / 2 + random.normal(0, noise, SHAPE)


def wrapped(values):
    return (values + 0.5) % 1 - 0.5


@pytest.mark.parametrize("noise", [0, 0.03, 0.1])
@pytest.mark.parametrize("turns", [0.8, 1.5])
@pytest.mark.parametrize("scale", [1.0, 2.0, 8192.0])
def test_the_turn_of_wraps(noise, turns, scale):
    found = turn_of_wraps(scale * wrapped(smooth(turns, noise)), INSIDE)
    assert found == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize(
    "values",
    [
        smooth(0.4),
        smooth(0.4, 0.05),
        smooth(3, 0.1),
        np.random.default_rng(1).uniform(-1, 1, SHAPE),
        np.random.default_rng(1).normal(0, 1, SHAPE),
        np.where(np.random.default_rng(2).random(SHAPE) < 0.01, 5, smooth(0.1)),  # bright voxels
        np.zeros(SHAPE),
    ],
)
def test_where_nothing_wraps(values):
    assert turn_of_wraps(values, INSIDE) == 0


def test_the_air_does_not_count():
    """Noise around a small phase hides its wraps; the mask shows them."""
    inside = np.zeros(SHAPE, bool)
    inside[4:-4, 4:-4, 4:-4] = True
    air = np.random.default_rng(3).uniform(-0.5, 0.5, SHAPE)
    values = np.where(inside, wrapped(smooth(1.5)), air)
    assert turn_of_wraps(values, inside) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (-4096, 4094, "siemens"),
        (-4090, 4095, "siemens"),
        (0, 4095, "siemens or philips"),
        (-3142, 3141, "philips or ge"),
        (-180, 180, "degrees"),
        (-1, 1, "pi"),
        (-0.5, 0.5, "turns"),
    ],
)
def test_ranges_are_known_by_their_ends(low, high, name):
    assert looks_like(low, high).endswith(f"--rescale {name}")


@pytest.mark.parametrize(("low", "high"), [(-np.pi, np.pi), (0, 99), (-2000, 2000), (-0.3, 0.4)])
def test_other_ranges_are_not(low, high):
    assert looks_like(low, high) == ""


def refused(values, unit="rad", **given):
    with pytest.raises(DataError) as error:
        in_rad(values.astype(np.float32), INSIDE, unit, given, AT, [])
    return str(error.value)


def test_what_can_not_be():
    assert "the same everywhere" in refused(np.full(SHAPE, 1.5))
    assert "looks like Hz" in refused(3000 * smooth(0.1, 0.01), "ppm")
    assert "raw scanner units" in refused(np.round(900 * smooth(0.5)), "rad")
    assert "magnitude" in refused(5 + smooth(0.5), "ppm")
    assert "as a wrapped phase does" in refused(6.2832 * wrapped(smooth(3)), "hz")


def test_rescaling_none_leaves_all_as_it_is():
    values = (5 + smooth(0.5)).astype(np.float32)
    assert in_rad(values, INSIDE, "rad", {"rescale": "none"}, AT, []) is values


def test_a_unit_that_is_stated_twice():
    """An option wins; --rescale makes rad, which another unit contradicts."""
    values = smooth(0.3)
    assert unit_of(values, {"units": "Hz"}, {"Units": "rad"}, AT, 1) == ("hz", "--units")
    assert unit_of(values, {}, {"Units": "HERTZ"}, AT, 1) == ("hz", "sidecar")
    assert unit_of(values, {"rescale": "pi"}, {"Units": "Hz"}, AT, 1) == ("rad", "--rescale")
    assert unit_of(values, {"rescale": "none"}, {"Units": "Hz"}, AT, 1) == ("hz", "sidecar")
