"""Against Pillow called directly, and geometry worked out by hand."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images import decoding, picture
from famulus.images.decoding import decode
from famulus.images.picture import place, recipe, render

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (21, 34, 3), dtype=np.uint8)
GREY = COLOUR[..., 0].copy()


def png(image, **options):
    file = io.BytesIO()
    image.save(file, options.pop("format", "PNG"), **options)
    return file.getvalue()


@pytest.mark.parametrize("filter", picture.FILTERS)
@pytest.mark.parametrize("size", [(8, 8), (40, 50), (21, 10)])
def test_resize_is_pillows(filter, size):
    for pixels in (GREY, COLOUR):
        got, box, resized = render(pixels, recipe(size, filter, None, "stretch"))
        method = getattr(Image.Resampling, filter.upper())
        expected = np.asarray(Image.fromarray(pixels).resize(size[::-1], method))
        assert np.array_equal(got, np.atleast_3d(expected).transpose(2, 0, 1))
        assert resized
        assert box == (0, 0, *size)


def test_the_filters_differ():  # and bilinear is antialiased: it is not a look-up of 4 neighbours
    results = [render(GREY, recipe(8, f, 1, "stretch"))[0].tobytes() for f in picture.FILTERS]
    assert len(set(results)) == len(picture.FILTERS)
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))
    assert render(stripes, recipe(4, "bilinear", 1, "stretch"))[0].std() < 5
    assert set(np.unique(render(stripes, recipe(4, "nearest", 1, "stretch"))[0])) <= {0, 255}


@pytest.mark.parametrize("size", [None, (21, 34)])
@pytest.mark.parametrize("fit", picture.FITS)
def test_without_a_resize_not_a_bit_changes(size, fit):
    got, _, resized = render(COLOUR, recipe(size, "lanczos", None, fit))
    assert np.array_equal(got, COLOUR.transpose(2, 0, 1))
    assert not resized


def test_grey_is_luma():
    got = render(COLOUR, recipe(None, "box", 1, "stretch"))[0][0]
    exact = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(got - exact).max() <= 0.51
    assert np.abs(got - COLOUR.mean(2)).max() > 10  # the plain mean is something else
    assert (render(GREY, recipe(None, "box", 3, "stretch"))[0] == GREY).all()


@pytest.mark.parametrize(
    ("height", "width", "fit", "box"),
    [
        (100, 50, "letterbox", (0, 16, 64, 32)),
        (50, 100, "letterbox", (16, 0, 32, 64)),
        (30, 30, "letterbox", (0, 0, 64, 64)),
        (1000, 1, "letterbox", (0, 31, 64, 1)),
        (100, 50, "crop", (-32, 0, 128, 64)),
        (100, 50, "stretch", (0, 0, 64, 64)),
    ],
)
def test_place(height, width, fit, box):
    assert place(height, width, (64, 64), fit) == box


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_letterbox_keeps_all_and_crop_fills_all(shape, size):
    white = np.full(shape, 255, np.uint8)
    framed, (top, left, tall, wide), _ = render(white, recipe(size, "nearest", 1, "letterbox"))
    inside = np.zeros(size, bool)
    inside[top : top + tall, left : left + wide] = True
    assert ((framed[0] == 255) == inside).all()
    assert tall == size[0] or wide == size[1]
    assert abs((size[0] - tall) - 2 * top) <= 1
    filled, box, _ = render(white, recipe(size, "nearest", 1, "crop"))
    assert (filled == 255).all()
    assert filled.shape[1:] == size
    assert box == (0, 0, *size)


def test_crop_takes_the_centre():
    pixels = np.zeros((20, 60), np.uint8)
    pixels[:, 20:40] = 200
    assert (render(pixels, recipe(20, "nearest", 1, "crop"))[0] == 200).all()


def test_transparency_lies_on_black():
    rgba = np.dstack([COLOUR, RNG.integers(0, 256, GREY.shape, dtype=np.uint8)])
    got = decode(png(Image.fromarray(rgba)))
    assert np.abs(got - COLOUR * (rgba[..., 3:] / 255)).max() <= 1
    palette = Image.fromarray(COLOUR).quantize(8)
    assert (decode(png(palette, transparency=0))[np.asarray(palette) == 0] == 0).all()


def test_mostly_empty_pictures_are_refused():
    rgba = np.zeros((10, 10, 4), np.uint8)
    rgba[:2] = 255
    assert decode(png(Image.fromarray(rgba)), 0.2).any()
    with pytest.raises(DataError, match="less than 21% opaque"):
        decode(png(Image.fromarray(rgba)), 0.21)


def test_sixteen_bits_are_kept():
    wide = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert decode(png(Image.fromarray(wide))).tolist() == wide.tolist()


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    raw = png(Image.fromarray(COLOUR), exif=exif)
    assert np.array_equal(decode(raw), np.rot90(COLOUR, -1))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "LA"])
def test_modes(mode):
    raw = png(Image.fromarray(COLOUR).convert(mode), format="TIFF")
    got = decode(raw)
    assert got.dtype == np.uint8
    assert got.shape == ((21, 34) if mode in ("1", "L") else (21, 34, 3))


WHOLE = png(Image.fromarray(COLOUR))
JPEG = png(Image.fromarray(COLOUR), format="JPEG")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no picture",
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:20],
        JPEG[: len(JPEG) // 2],
        b"%!PS-Adobe",
    ],
)
def test_damage_is_a_data_error(raw):
    with pytest.raises(DataError, match=r"\w"):
        decode(raw)


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 21 * 34 - 1)
    with pytest.raises(DataError, match="34x21 pixels, limit 713"):
        decode(WHOLE)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 21 * 34)
    decode(WHOLE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filter": "linear"}, "data.filter: expected one of nearest"),
        ({"fit": "pad"}, "data.fit"),
        ({"channels": 4}, "data.channels"),
        ({"size": 0}, "data.size"),
        ({"size": True}, "data.size"),
        ({"size": [3]}, "data.size"),
        ({"size": "32"}, "data.size"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ConfigError, match=message):
        recipe(**{"size": 32, "filter": "box", "channels": 1, "fit": "crop", **change})
