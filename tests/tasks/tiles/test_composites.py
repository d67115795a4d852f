"""Each composite is taken apart again: tiles of one value each, pasted one by one in NumPy."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from famulus.config.errors import ConfigError
from famulus.feed.source import Source
from famulus.tasks.tiles.composites import Composites, composite_splits
from famulus.tasks.tiles.noise import open_noise


@dataclass
class Flat(Source):
    """Tile i is filled with i, so that a composite tells what it is made of."""

    count: int
    shape: tuple[int, int, int] = (3, 32, 32)
    fingerprint: str = "flat"

    def __len__(self):
        return self.count

    def gather(self, indices, seeds):
        tiles = torch.from_numpy(indices).to(torch.uint8).view(-1, 1, 1, 1)
        return {"image": tiles.expand(-1, *self.shape)}

    def to(self, device):
        return self


def gathered(source, indices):
    indices = np.asarray(indices)
    return source.gather(indices, indices)["image"].numpy()


def test_a_background_and_three_whole_tiles():
    images = gathered(Composites(Flat(200), (64, 64), 500), range(500))
    assert images.shape == (500, 3, 64, 64)
    for image in images:
        assert (image == image[:1]).all()  # tiles are grey
        values, counts = np.unique(image[0], return_counts=True)
        assert len(values) <= 4
        top = [v for v, n in zip(values, counts, strict=True) if n == 1024]
        squares = [np.argwhere(image[0] == v) for v in top]
        spans = [tuple(np.ptp(s, axis=0) + 1) for s in squares]
        assert len(values) < 4 or (32, 32) in spans  # the last tile lies on top, whole


def test_equals_pasting_one_by_one():
    noise = open_noise(4, 3, train=50, validation=5).train
    source = Composites(noise, (10, 12), 20, pasted=3, seed=7)
    out, tiles = gathered(source, range(20)), noise.images
    for i in range(20):
        who, top, left = (
            [int(source._draw(np.array([i]), 3 * k + s, n)[0]) for k in range(4)]
            for s, n in ((0, 50), (1, 7), (2, 9))
        )
        canvas = np.stack(
            [
                [[tiles[who[0], c, y * 4 // 10, x * 4 // 12] for x in range(12)] for y in range(10)]
                for c in range(3)
            ]
        )
        for k in (1, 2, 3):
            canvas[:, top[k] : top[k] + 4, left[k] : left[k] + 4] = tiles[who[k]]
        np.testing.assert_array_equal(out[i], canvas)


def test_enlarging_by_two_repeats_pixels():
    noise = open_noise(8, 1, train=30, validation=5).train
    out = gathered(Composites(noise, (16, 16), 9, pasted=0), range(9))
    np.testing.assert_array_equal(out, out[:, :, ::2, ::2].repeat(2, 2).repeat(2, 3))


def test_a_function_of_seed_and_index_alone():
    source = Composites(Flat(200), (64, 64), 100, seed=3)
    whole = gathered(source, range(100))
    np.testing.assert_array_equal(gathered(source, [70, 5, 70]), whole[[70, 5, 70]])
    np.testing.assert_array_equal(source.images, whole)
    other = Composites(Flat(200), (64, 64), 100, seed=4)
    assert (gathered(other, range(100)) != whole).any()
    assert other.fingerprint != source.fingerprint


def test_tiles_and_places_are_drawn_evenly():
    source, index = Composites(Flat(10), (64, 64), 33_000), np.arange(33_000)
    for what, n in ((0, 10), (4, 33)):
        counts = np.bincount(source._draw(index, what, n).astype(int), minlength=n)
        assert len(counts) == n
        assert ((counts - 33_000 / n) ** 2 / (33_000 / n)).sum() < n + 6 * np.sqrt(2 * n)
    a, b = source._draw(index, 3, 10).astype(float), source._draw(index, 4, 33).astype(float)
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(33_000)


def test_splits_keep_validation_tiles_apart():
    splits = composite_splits(open_noise(8, 3, train=40, validation=12), 16, train=90)
    assert (len(splits.train), len(splits.validation)) == (90, 12)
    assert splits.validation.base is not splits.train.base
    assert isinstance(splits.train, Source)
    assert splits.train.shape == (3, 16, 16)
    batch = splits.train.finish(splits.train.gather(np.arange(4), np.arange(4)), np.arange(4))
    assert batch["image"].dtype == torch.float32
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert splits.train.to(torch.device("cpu")) is splits.train


def test_a_tile_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="tiles of 32x32 do not fit in composites of 24x64"):
        gathered(Composites(Flat(5), (24, 64), 5), [0])
    with pytest.raises(ConfigError, match="received 0"):
        Composites(Flat(5), (64, 64), 0)
