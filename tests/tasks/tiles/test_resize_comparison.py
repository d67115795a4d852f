"""Pictures beside themselves, resized: framed in grey, whole, as Pillow resizes them."""

import numpy as np
import pytest
from PIL import Image

from famulus.images.open import open_images
from famulus.tasks.tiles.resize_comparison import PAPER, before_after


@pytest.fixture
def pictures(tmp_path):
    """Pictures of 10 x 6, none of whose pixels is the grey of the frames."""
    random = np.random.default_rng(0)
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        for i in range(3):
            grey = random.integers(PAPER + 1, 256, (10, 6, 3), np.uint8)
            Image.fromarray(grey).save(tmp_path / part / f"{i}.png")
    return tmp_path


def test_every_pixel_of_a_picture_stands_in_its_frame(pictures):
    options = {"filter": "lanczos", "channels": 3, "subset": None, "validation": None, "seed": 0}
    source = open_images(str(pictures), size=8, fit="stretch", **options).validation
    rows = before_after(source, np.array([2, 0]))
    assert list(rows) == ["stored", "nearest 8", "bilinear 8", "lanczos 8"]
    assert {row.shape for row in rows.values()} == {(10, 16, 3)}  # frames of 10 x 8
    for at, name in enumerate(source.names[i] for i in (2, 0)):
        image = Image.open(pictures / "validation" / name.split("/")[-1])
        frame = rows["stored"][:, at * 8 : at * 8 + 8]
        assert np.array_equal(frame[:, 1:7], np.asarray(image))
        assert (frame[:, [0, 7]] == PAPER).all()
        resized = image.resize((8, 8), Image.Resampling.BILINEAR)
        frame = rows["bilinear 8"][:, at * 8 : at * 8 + 8]
        assert np.array_equal(frame[1:9], np.asarray(resized))
        assert (frame[[0, 9]] == PAPER).all()


def test_where_nothing_was_resized_there_is_nothing_to_compare(pictures):
    options = {"filter": "nearest", "channels": 3, "subset": None, "validation": None, "seed": 0}
    source = open_images(str(pictures), size=None, fit="stretch", **options).validation
    assert before_after(source, np.array([0])) == {}
