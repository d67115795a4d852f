"""No voxel validates that training saw: brute force over every cube and window of a split."""

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.tasks.scroll import data as scroll_data
from famulus.tasks.scroll import regions
from famulus.tasks.scroll.cube_field import grid_corners
from famulus.tasks.scroll.data import ScrollData, open_scroll
from famulus.volumes.bricks import ArrayVolume
from famulus.volumes.open import Fragment

# (y, x), cube, block: sides that are no multiples of each other, and blocks no multiple of cubes
CASES = [
    ((200, 200), 32, None),
    ((131, 174), 16, 37),
    ((97, 150), (4, 12, 20), 29),
]
SETTINGS = [{"gap": 0}, {"gap": 8}, {"gap": 3, "cover": 0.4}, {"gap": 5, "edges": 0.5}]


@pytest.fixture
def fragment(monkeypatch):
    """Ragged papyrus of a given shape, under the name of the phantom."""

    def made(shape):
        rng = np.random.default_rng(sum(shape))
        volume = rng.integers(0, 1000, (5, *shape)).astype(np.uint16)
        mask = np.ones(shape, bool)
        mask[:7], mask[:, -5:] = False, False
        mask[tuple(rng.integers(0, shape, (30, 2)).T)] = False  # holes
        labels = (rng.random(shape) < 0.5).astype(np.uint8)
        found = Fragment("f", ArrayVolume(volume, "f"), mask, labels)
        monkeypatch.setattr(scroll_data, "_fragment", lambda *_: found)
        return found

    return made


def cover_of(corners, size, shape):
    """How many windows a pixel is in: YX, one window after the other."""
    met = np.zeros(shape, int)
    for y, x in corners:
        met[y : y + size[1], x : x + size[2]] += 1
    return met


def trained(source, shape):
    """Every pixel that a training cube may hold."""
    places = np.stack(np.divmod(source.field.places, shape[1]), 1)
    return cover_of(places, source.field.size, shape) > 0


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("shape", "cube", "block"), CASES)
def test_no_pixel_is_on_both_sides_nor_within_the_gap(fragment, shape, cube, block, settings, seed):
    f = fragment(shape)
    size = list(cube) if isinstance(cube, tuple) else [4, cube, cube]
    given = {"cover": 0.9, **settings, "cube": size, "block": block, "seed": seed}
    splits = open_scroll(ScrollData(validation=0.25, **given), inked=True).splits
    corners = splits.validation.corners
    assert len(corners) >= 4
    met = cover_of(corners[:, 1:], size, shape)
    assert met.max() == 1  # side by side
    for _, y, x in corners:
        assert f.mask[y : y + size[1], x : x + size[2]].mean() >= 0.4
    seen, gap = trained(splits.train, shape), given["gap"]
    assert seen.any()
    for y, x in np.argwhere(met):
        assert not seen[max(0, y - gap) : y + gap + 1, max(0, x - gap) : x + gap + 1].any()


@pytest.mark.parametrize("seed", range(4))
def test_windows_half_outside_their_block_share_pixels_with_training(fragment, seed):
    """Proof that it can fail: windows by cover alone, wherever they lie, hold what trains."""
    shape, size = (200, 200), (4, 32, 32)
    f = fragment(shape)
    given = ScrollData(validation=0.25, cube=list(size), gap=8, seed=seed)
    seen = trained(open_scroll(given, inked=True).splits.train, shape)
    held = f.mask & regions.split_blocks(f.mask, 0.25, 8, 50, seed).held_YX
    loose = grid_corners(held, size, 5, 0.5)[:, 1:]
    assert any(seen[y : y + 32, x : x + 32].any() for y, x in loose)


def test_a_block_smaller_than_a_window_is_named(fragment):
    fragment((200, 200))
    with pytest.raises(
        DataError, match=r"lies whole in a block, 50% in the mask: larger data\.blo"
    ):
        open_scroll(ScrollData(validation=0.25, cube=[4, 32, 32], gap=8, block=31), inked=True)
    with pytest.raises(DataError, match=r"no cube .* or a smaller data\.gap"):
        open_scroll(ScrollData(validation=0.25, cube=[4, 70, 70], gap=8), inked=True)
