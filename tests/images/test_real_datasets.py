"""The sets under FAMULUS_DATA: counts as published, and no identity on both sides."""

import os
from pathlib import Path

import numpy as np
import pytest

from famulus.images.open import open_images

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not os.environ.get("FAMULUS_DATA"), reason="FAMULUS_DATA is not set"),
]


def need(name):
    folder = Path(os.environ["FAMULUS_DATA"])
    if not (folder / name).exists():
        pytest.skip(f"{name} is not in FAMULUS_DATA")


@pytest.mark.parametrize(
    ("name", "counts", "mean"), [("mnist", (10000, 10000), 0.1307), ("fashion-mnist", None, 0.2860)]
)
def test_idx_sets(name, counts, mean):
    need(name)
    splits = open_images(name, channels=1)
    assert splits.train.shape == (1, 28, 28)
    assert abs(splits.train.images.mean() / 255 - mean) < 0.01  # the whole set's published mean
    assert not splits.resized
    assert len(splits.train.classes) == 10
    if counts:
        assert (len(splits.train), len(splits.validation)) == counts


def test_crawl_tiles():
    need("crawl-tiles.zip")
    splits = open_images("crawl-tiles")
    assert splits.train.shape == (3, 32, 32)
    share = len(splits.validation) / (len(splits.train) + len(splits.validation))
    assert 0.04 < share < 0.06
    assert any("mostly empty" in note for note in splits.notes)
    lit = (splits.train.images > 0).any(1).mean((1, 2))
    assert np.quantile(lit, 0.01) > 0.1  # a quarter is opaque, some of it black outline


def test_no_figure_is_on_both_sides():
    need("horse-or-human.zip")
    splits = open_images("horse-or-human")
    sides = splits.train.part.names, splits.validation.part.names
    figures = [{name.split("/")[-1].split("-")[0] for name in names} for names in sides]
    assert not figures[0] & figures[1]
    assert len([name for name in figures[0] if name.startswith("human")]) == 17
    assert splits.train.classes == ("horses", "humans")
