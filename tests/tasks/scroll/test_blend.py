"""Constant in, constant out; seams seen where they are; a margin where the loss grows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from famulus.tasks.scroll import blend


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_weights_sum_to_one_for_any_window_stride_and_margin(data):
    length = data.draw(st.integers(1, 90))
    size = data.draw(st.integers(1, length))
    stride = data.draw(st.integers(1, size))
    name = data.draw(st.sampled_from(sorted(blend.WINDOWS)))
    margin = data.draw(st.integers(0, (size - 1) // 2))
    at = blend.starts(length, size, stride)
    weights = blend.partition(length, at, blend.window(name, size, margin))
    total = np.zeros(length)
    for start, row in zip(at, weights, strict=True):
        total[start : start + size] += row
    assert np.abs(total - 1).max() < 1e-12


@pytest.mark.parametrize("name", sorted(blend.WINDOWS))
@pytest.mark.parametrize("stride", [16, 8, 5, 3])
def test_a_constant_goes_through_faces_and_corners(name, stride):
    canvas = blend.Canvas((37, 50), 16, stride, name)
    out = blend.blend(lambda y, x: np.full((1, 16, 16), 0.7, np.float32), canvas)
    assert np.abs(out - np.float32(0.7)).max() < 1e-6


def test_the_field_recipe_without_division_is_seen_to_fade():  # the tests above can fail
    at, weights = blend.starts(37, 16, 8), blend.window("hann", 16)
    total = np.zeros(37)
    for start in at:
        total[start : start + 16] += weights / weights.max() * 0.7
    assert np.abs(total - 0.7).max() > 0.3


def test_a_map_is_the_weighted_mean_by_brute_force():
    rng = np.random.default_rng(0)
    tiles = {}

    def tile(y, x):
        return tiles.setdefault((y, x), rng.normal(size=(2, 8, 8)))

    canvas = blend.Canvas((19, 21), 8, 5, "gaussian", margin=1, channels=2)
    out = blend.blend(tile, canvas)
    shape = blend.window("gaussian", 8, 1)
    above, below = np.zeros((2, 19, 21)), np.zeros((19, 21))
    for (y, x), value in tiles.items():
        w = shape[:, None] * shape
        above[:, y : y + 8, x : x + 8] += w * value
        below[y : y + 8, x : x + 8] += w
    assert np.allclose(out, above / below, atol=1e-12)


def test_gaps_and_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="stride of 1 to 8"):
        blend.starts(20, 8, 9)
    with pytest.raises(ValueError, match="window of 1 to 6"):
        blend.starts(6, 8, 4)
    with pytest.raises(ValueError, match="one of hann, gaussian"):
        blend.window("hamming", 8)
    with pytest.raises(ValueError, match="margin"):
        blend.window("hann", 8, 4)


def smooth(n=256, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n] / n
    waves = [
        rng.normal() * np.sin(2 * np.pi * (a * y + b * x) + rng.uniform(0, 6))
        for a in range(1, 8)
        for b in range(1, 8)
    ]
    return 1 / (1 + np.exp(-sum(waves) / 2)) + rng.normal(0, 0.01, (n, n))


@pytest.mark.parametrize("axis", [0, 1])
def test_seams_are_seen_where_offsets_are_put(axis):
    map_YX = smooth()
    clean = blend.seam_ratio(map_YX, 32, axis)
    assert abs(clean - 1) < 0.1
    offsets = np.random.default_rng(1).normal(0, 0.1, (8, 8))
    tiled = map_YX + np.kron(offsets, np.ones((32, 32)))
    assert blend.seam_ratio(tiled, 32, axis) > 2
    assert blend.phase_score(tiled, 32, axis) > 10
    shifted = blend.seam_ratio(np.roll(tiled, 5, axis), 32, axis)
    assert shifted < 1.2  # elsewhere than asked
    assert blend.seam_ratio(np.roll(tiled, 5, axis), 32, axis, offset=5) > 2


def test_a_map_that_was_enlarged_has_no_seams():
    """Bilinear from a grid of 4: steeper between two of its points than across one, at a period
    that every stride of 8 n shares. Against their own phase, borders are like the rest."""
    torch.manual_seed(0)
    coarse = torch.nn.functional.avg_pool2d(torch.randn(1, 1, 130, 130), 3, 1)
    made = torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")[0, 0].numpy()
    for axis in (0, 1):
        assert blend.seam_ratio(made, 32, axis) > 1.05  # a false alarm
        assert abs(blend.seam_ratio(made, 32, axis, period=4) - 1) < 0.05
    offsets = np.kron(np.random.default_rng(1).normal(0, 0.1, (16, 16)), np.ones((32, 32)))
    assert blend.seam_ratio(made + offsets, 32, 0, period=4) > 1.2  # a true one
    assert blend.phase_score(made + offsets, 32, 0, period=4) > 4


@pytest.mark.parametrize(("stride", "period"), [(16, 16), (8, 16), (24, 16), (40, 16), (5, 2)])
def test_borders_that_lie_on_the_nets_grid_are_not_judged(stride, period):
    """Nearest from a grid: all windows agree exactly, and every step is at the grid's borders."""
    rng = np.random.default_rng(0)
    made = np.kron(rng.normal(0, 1, (20, 20)), np.ones((16, 16)))
    if stride == 16:
        assert blend.seam_ratio(made, stride, 0) > 1e6  # what all places together would say
    for measure in (blend.seam_ratio, blend.phase_score):
        with pytest.raises(ValueError, match="can't be told from the net's own grid"):
            measure(made, stride, 0, period=period)
    assert blend.seam_ratio(made, 32, 0, period=16) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("period", [8, 16])
def test_few_places_alike_are_enough(period):
    """Two or four phases alike: no alarm on enlarged maps, one where offsets are put."""
    for seed in range(6):
        torch.manual_seed(seed)
        coarse = torch.nn.functional.avg_pool2d(torch.randn(1, 1, 514 // period + 4, 66), 3, 1)
        made = torch.nn.functional.interpolate(coarse, scale_factor=period, mode="bilinear")
        made = made[0, 0, :512, :512].numpy()
        offsets = np.kron(np.random.default_rng(seed).normal(0, 0.2, (16, 16)), np.ones((32, 32)))
        for axis in (0, 1):
            given = 32, axis, 0, period
            alarm = blend.seam_ratio(made, *given) > 1.05 and blend.phase_score(made, *given) > 4
            assert not alarm
            assert blend.seam_ratio(made + offsets, *given) > 1.05
            assert blend.phase_score(made + offsets, *given) > 4
