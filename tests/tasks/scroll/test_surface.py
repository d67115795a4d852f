"""Whole surfaces: constants, a pixelwise net at every place, and resuming halfway."""

import numpy as np
import pytest
import torch

from famulus.config.errors import ConfigError
from famulus.tasks.scroll import surface
from famulus.tasks.scroll.cubes import Scale
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment

SHAPE = (5, 37, 50)


@pytest.fixture
def fragment():
    volume = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.uint16)
    return Fragment("f", ArrayVolume(volume, "f"), np.ones(SHAPE[1:], bool))


def pixelwise(image):
    return image[:, 0].mean(1)


def run(fragment, folder, predict, how, rows=None):
    made = surface.predict_surface(fragment, (3, 16, 16), Scale(0, 1), predict, how, folder, "net")
    for i, _ in enumerate(made):
        if i + 1 == rows:
            return None
    return np.array(surface.finished(folder, (1, *SHAPE[1:]))[0])


@pytest.mark.parametrize("stride", [16, 8, 5])
@pytest.mark.parametrize("flips", [1, 4])
def test_constant_in_constant_out(fragment, tmp_path, stride, flips):
    how = surface.How(stride, "hann", flips=flips)
    out = run(fragment, tmp_path, lambda i: torch.full((len(i), 16, 16), 0.7), how)
    assert np.abs(out - 0.7).max() < 1e-6


@pytest.mark.parametrize("flips", [1, 2, 4])
def test_a_net_that_sees_one_column_gives_its_own_map(fragment, tmp_path, flips):
    """Whatever the overlap, and flips included: each pixel is where it belongs."""
    out = run(fragment, tmp_path, pixelwise, surface.How(7, "gaussian", margin=2, flips=flips))
    assert np.allclose(out, fragment.volume.array[1:4].mean(0), rtol=1e-5)


def test_flips_that_are_not_undone_would_show(fragment, tmp_path):  # proof that it can fail
    out = run(fragment, tmp_path, lambda i: pixelwise(i.flip(-1)), surface.How(7))
    assert not np.allclose(out, fragment.volume.array[1:4].mean(0), rtol=0.05)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_an_interrupted_map_goes_on_and_is_the_same(fragment, tmp_path, rows):
    calls = []

    def blurred(image):  # its windows differ from each other: the order of sums would show
        calls.append(len(image))
        return torch.nn.functional.avg_pool2d(image[:, :, 1], 5, 1, 2)[:, 0]

    how = surface.How(5)
    whole = run(fragment, tmp_path / "a", blurred, how) if (tmp_path / "a").mkdir() is None else 0
    full = len(calls)
    (tmp_path / "b").mkdir()
    assert run(fragment, tmp_path / "b", blurred, how, rows=rows) is None
    calls.clear()
    resumed = run(fragment, tmp_path / "b", blurred, how)
    assert np.array_equal(resumed, whole)
    if rows > 3:
        assert len(calls) < full  # something was not done again
    changed = run(fragment, tmp_path / "b", lambda i: 0 * pixelwise(i), surface.How(4))
    assert np.abs(changed).max() == 0  # another prediction does not go on from it


def test_windows_that_do_not_fit_are_named(fragment, tmp_path):
    with pytest.raises(ConfigError, match="stride of 1 to 16"):
        run(fragment, tmp_path, pixelwise, surface.How(17))
    with pytest.raises(ConfigError, match="z: expected 0 to 2"):
        run(fragment, tmp_path, pixelwise, surface.How(8, z=3))


def test_the_overlay_is_red_where_ink_is(fragment):
    share = np.zeros(SHAPE[1:])
    share[5, 7] = 1
    picture = np.asarray(surface.overlay(surface.middle_plane(fragment), share, fragment.mask))
    red = picture[..., 0].astype(int) - picture[..., 2]
    assert np.argwhere(red > 60).tolist() == [[5, 7]]
