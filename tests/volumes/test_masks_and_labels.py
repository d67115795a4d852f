"""Masks and labels as people draw them: alpha, palette, TIFF, WhiteIsZero."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes.open import convert, open_volume
from tests.volumes.contents import SHAPE, numbers

MARKED = np.zeros(SHAPE[1:], np.uint8)
MARKED[5:20, 30:] = 1
MARKED[1, 3] = 1


@pytest.fixture
def source(tmp_path):
    np.save(tmp_path / "v.npy", numbers())
    return tmp_path / "v.npy"


def picture(path, colour, alpha=None, mode="RGBA"):
    """`colour` where marked and elsewhere (RGB each), with an alpha of two levels."""
    rgb = np.where(MARKED[..., None] == 1, *(np.array(c, np.uint8) for c in colour))
    layers = rgb if alpha is None else np.dstack([rgb, np.where(MARKED == 1, *alpha)])
    image = Image.fromarray(layers.astype(np.uint8))
    (image.quantize(2) if mode == "P" else image.convert(mode)).save(path)
    return path


WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (200, 0, 0)


@pytest.mark.parametrize(
    ("colour", "alpha", "mode"),
    [
        ((WHITE, WHITE), (255, 0), "RGBA"),  # by alpha on white: all of it counted
        ((BLACK, WHITE), (255, 0), "RGBA"),
        ((RED, WHITE), (128, 0), "RGBA"),
        ((WHITE, BLACK), (255, 0), "RGBA"),
        ((WHITE, BLACK), (255, 255), "RGBA"),
        ((WHITE, WHITE), (255, 0), "LA"),
        ((WHITE, BLACK), None, "L"),
        ((WHITE, BLACK), None, "1"),
        ((RED, BLACK), None, "RGB"),
        ((RED, BLACK), None, "P"),
    ],
)
def test_a_picture_of_two_levels_is_what_was_drawn(source, tmp_path, colour, alpha, mode):
    path = picture(tmp_path / "m.png", colour, alpha, mode)
    fragment = open_volume(source, labels=path, mask=path)
    assert np.array_equal(fragment.mask, MARKED == 1)
    assert np.array_equal(fragment.labels, MARKED)
    convert(source, tmp_path / "v.bricks", labels=path, mask=path)
    assert np.array_equal(open_volume(tmp_path / "v.bricks").labels, MARKED)


def test_alpha_and_brightness_that_disagree_are_refused(source, tmp_path):
    rgba = np.zeros((*SHAPE[1:], 4), np.uint8)
    rgba[..., 3] = 255 * (np.arange(52) > 20)
    rgba[:10, :, :3] = 255
    Image.fromarray(rgba).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: drawn by alpha \(2 levels\) and by brightness"):
        open_volume(source, mask=tmp_path / "m.png")
    rgba[..., :3] = 255
    rgba[..., 3] = np.arange(52)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: drawn by alpha \(52 levels\)"):
        open_volume(source, mask=tmp_path / "m.png")


def test_a_palette_whose_colours_are_alike_is_refused(source, tmp_path):
    image = Image.fromarray(MARKED)
    image = image.convert("P")
    image.putpalette([90, 90, 90, 90, 90, 90])
    image.save(tmp_path / "m.png")
    with pytest.raises(DataError, match="equally bright"):
        open_volume(source, mask=tmp_path / "m.png")


DEEP = np.random.default_rng(1).integers(0, 2, SHAPE).astype(np.uint8)


@pytest.mark.parametrize("marked", [MARKED, DEEP], ids=["YX", "ZYX"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("white", [False, True])
def test_labels_are_tiffs_too(source, tmp_path, marked, dtype, white):
    top = np.iinfo(dtype).max
    stored = (marked if not white else 1 - marked).astype(dtype) * top
    tifffile.imwrite(
        tmp_path / "l.tif", stored, photometric="miniswhite" if white else "minisblack",
        compression="zlib",
    )  # fmt: skip
    assert np.array_equal(open_volume(source, labels=tmp_path / "l.tif").labels, marked)
    convert(source, tmp_path / "v.bricks", labels=tmp_path / "l.tif")
    assert np.array_equal(open_volume(tmp_path / "v.bricks").labels, marked)


def test_a_tiff_beside_the_slices_is_found(tmp_path):
    (tmp_path / "layers").mkdir()
    for z, plane in enumerate(numbers()):
        tifffile.imwrite(tmp_path / f"layers/{z:02d}.tif", plane)
    tifffile.imwrite(tmp_path / "mask.tif", 255 * MARKED)
    tifffile.imwrite(tmp_path / "inklabels.tif", 255 * MARKED)
    Image.fromarray(255 * MARKED).save(tmp_path / "labels.png")
    fragment = open_volume(tmp_path)
    assert np.array_equal(fragment.mask, MARKED == 1)
    assert np.array_equal(fragment.labels, MARKED)
    assert any("inklabels.tif is taken, not labels.png" in note for note in fragment.notes)


def test_levels_of_labels_are_two_and_of_masks_said(source, tmp_path):
    Image.fromarray(MARKED * 100 + (np.arange(52) < 3)).convert("L").save(tmp_path / "m.png")
    with pytest.raises(DataError, match=r"m\.png: expected two levels"):
        open_volume(source, labels=tmp_path / "m.png")
    notes = open_volume(source, mask=tmp_path / "m.png").notes
    assert any("m.png: 3 levels: all but 0 counts" in note for note in notes)
