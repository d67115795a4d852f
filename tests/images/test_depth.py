"""Pictures of more than 8 bits a channel, on their way into the net: against formulas in float64.

A value v becomes (v - low) / (high - low), cut off at 0 and 1, in float32: nothing coarser.
"""

import hashlib
import io
import json
import struct
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.feed.feeder import validation_batches
from famulus.images.decoding import decode
from famulus.images.image_source import Choice
from famulus.images.open import FileSource, ImageSource, open_images
from famulus.images.parts import ArrayPart
from famulus.images.picture import Recipe, render
from famulus.images.rebuild import rebuild

RNG = np.random.default_rng(3)
EXACT = 1e-7  # of float32 in 0..1; one level of 8 bits is 4e-3


def tif(array, **options):
    file = io.BytesIO()
    options.setdefault("photometric", "rgb" if array.ndim == 3 else "minisblack")
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def png16(array, colour_type, packed=9):
    """A PNG of 16 bits by its specification; colour types 0 grey, 2 RGB, 4 and 6 with alpha."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    high, wide = array.shape[:2]
    big = array.astype(">u2")
    size = 2 if array.ndim == 2 else 2 * array.shape[2]
    rows = []
    for y, row in enumerate(big):
        plain = np.frombuffer(row.tobytes(), np.uint8)
        # filter 1, sub, in every second row: the decoder must know how wide a pixel is
        left = np.concatenate([np.zeros(size, np.uint8), plain[:-size]])
        rows.append(bytes([y % 2]) + (plain - left if y % 2 else plain).tobytes())
    head = struct.pack(">IIBBBBB", wide, high, 16, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"".join(rows), packed))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def fill(folder, raws, suffix=".tif", validation=None):
    for role, files in (("train", raws), ("validation", validation or raws[:1])):
        (folder / role).mkdir(parents=True)
        for i, raw in enumerate(files):
            (folder / role / f"{i}{suffix}").write_bytes(raw)
    return str(folder)


def unit(values, low, high):
    return ((values.astype(np.float64) - low) / (high - low)).clip(0, 1)


def seen(source):
    """What a net is given: float64 BCYX."""
    (whole,) = validation_batches(source, len(source), "cpu")
    assert whole["image"].dtype == torch.float32
    return whole["image"].double().numpy()


VALUES = {
    "12 in 16": (np.arange(4096, dtype=np.uint16).reshape(64, 64), (0, 4095)),
    "10 in 16": (np.arange(1024, dtype=np.uint16).reshape(32, 32), (0, 1023)),
    "bytes in int32": (np.arange(256, dtype=np.int32).reshape(16, 16), (0, 255)),
    "CT": (np.linspace(-1000, 3000, 4096).round().astype(np.int16).reshape(64, 64), (-1000, 3000)),
    "uint32": (
        (np.arange(4096, dtype=np.uint32) * 1_000_003).reshape(64, 64),
        (0, 4095 * 1_000_003),
    ),
    "high uint32": (
        4_294_000_000 + np.arange(4096, dtype=np.uint32).reshape(64, 64),
        (4_294_000_000, 4_294_004_095),
    ),
    "float32": (np.linspace(-7, 5, 4096, dtype=np.float32).reshape(64, 64), (-7, 5)),
    "float64": (np.linspace(-7, 5, 4096).reshape(64, 64), (-7, 5)),
    "float16": (np.linspace(2, 4, 1024).astype(np.float16).reshape(32, 32), (2, 4)),
    "int8": (np.arange(-128, 128, dtype=np.int8).reshape(16, 16), (-128, 127)),
    "uint16 colours": (RNG.integers(0, 4096, (40, 50, 3)).astype(np.uint16), None),
    "float colours": ((RNG.integers(-4000, 4000, (40, 50, 3)) / 8).astype(np.float32), None),
    "planes": (RNG.integers(0, 4096, (3, 40, 50)).astype(np.uint16), None),
}


@pytest.mark.parametrize("kind", VALUES)
def test_every_level_of_a_tiff_reaches_the_net(tmp_path, kind):
    values, limits = VALUES[kind]
    planes = {"planarconfig": "separate", "photometric": "rgb"} if kind == "planes" else {}
    source = open_images(fill(tmp_path, [tif(values, **planes)])).train
    low, high = limits or (values.min(), values.max())
    assert source.range == (low, high)
    exact = unit(values, low, high)
    if kind != "planes":
        exact = exact[None] if values.ndim == 2 else exact.transpose(2, 0, 1)
    image = seen(source)[0]
    assert np.abs(image - exact).max() < EXACT
    assert len(np.unique(image)) == len(np.unique(values))
    by_bytes = np.rint(exact * 255) / 255  # as 8 bits would have it: far beyond what is allowed
    assert len(np.unique(values)) <= 256 or np.abs(by_bytes - exact).max() > 1e4 * EXACT


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_a_png(colour_type, channels):
    values = RNG.integers(0, 65536, (9, 13, channels)).astype(np.uint16)
    pixels = decode(png16(values[..., 0] if channels == 1 else values, colour_type))
    assert pixels.dtype == np.uint16
    if channels in (1, 3):
        assert np.array_equal(np.atleast_3d(pixels), values)
        return
    black = values[..., :-1] * (values[..., -1:] / 65535)
    assert np.abs(np.atleast_3d(pixels) - black).max() <= 0.51
    assert len(np.unique(pixels)) > 100


def test_a_resize_is_pillows_in_floating_point(tmp_path):
    values = RNG.integers(0, 4096, (40, 50, 3)).astype(np.uint16)
    name = fill(tmp_path, [tif(values)])
    for filter in ("nearest", "bilinear", "box", "bicubic", "lanczos"):
        image = seen(open_images(name, size=(16, 20), filter=filter, range=[0, 4095]).train)[0]
        method = getattr(Image.Resampling, filter.upper())
        for plane, got in zip((values / 4095).transpose(2, 0, 1), image, strict=True):
            expected = Image.fromarray(plane.astype(np.float32)).resize((20, 16), method)
            assert np.abs(np.asarray(expected).clip(0, 1) - got).max() < 1e-6


def test_grey_of_deep_colours_is_luma(tmp_path):
    values = RNG.integers(0, 4096, (12, 9, 3)).astype(np.uint16)
    source = open_images(fill(tmp_path, [tif(values)]), channels=1, range=[0, 4095]).train
    exact = values / 4095 @ np.array([0.299, 0.587, 0.114])
    assert np.abs(seen(source)[0, 0] - exact).max() < 1e-6


def test_the_padding_of_a_letterbox_is_black(tmp_path):
    values = np.linspace(-1000, 3000, 200).astype(np.int16).reshape(10, 20)
    how = {"size": 20, "fit": "letterbox", "channels": 1}
    image = seen(open_images(fill(tmp_path, [tif(values)]), **how).train)[0, 0]
    assert (image[:5] == 0).all()
    assert (image[15:] == 0).all()
    assert np.abs(image[5:15] - unit(values, -1000, 3000)).max() < EXACT


# -- the range -------------------------------------------------------------------------------------


def test_the_range_is_that_of_all_training_pictures(tmp_path):
    train = [np.array([[100, 200]], np.uint16), np.array([[50, 300]], np.uint16)]
    held_out = np.array([[0, 175, 600, 300]], np.uint16)
    splits = open_images(fill(tmp_path, map_tif(train), validation=[tif(held_out)]), channels=1)
    assert splits.train.range == splits.validation.range == (50, 300)
    assert np.abs(seen(splits.validation)[0, 0] - unit(held_out, 50, 300)).max() < EXACT
    text = "\n".join(splits.notes)
    assert "uint16: 50 to 300 becomes 0 to 1, as measured over the training pictures" in text
    assert "validation: 50% of the pixels lie outside 50 to 300: cut off there" in text
    # a subset is seen by the same eyes
    assert open_images(str(tmp_path), channels=1, subset=1).train.range == (50, 300)


def map_tif(arrays):
    return [tif(array) for array in arrays]


def test_a_declared_range_goes_before_what_is_measured(tmp_path):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    splits = open_images(fill(tmp_path, [tif(values)]), range=[1024, 3071], channels=1)
    assert np.abs(seen(splits.train)[0, 0] - unit(values, 1024, 3071)).max() < EXACT
    text = "\n".join(splits.notes)
    assert "1024 to 3071 becomes 0 to 1 (data.range, declared)" in text
    assert "train: 50% of the pixels lie outside 1024 to 3071" in text
    assert "warning" not in text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.array([[0, 4000]], np.uint16), "data: {range: [0, 4095]}"),
        (np.array([[5, 1000]], np.uint16), "data: {range: [0, 1023]}"),
        (np.array([[0, 255]], np.int32), "data: {range: [0, 255]}"),
        (np.array([[-1000, 3000]], np.int16), "data: {range: [-1000, 3000]}"),
        (np.array([[0, 0.063]], np.float32), "data: {range: [0, 0.063]}"),
        (np.array([[0, 16384]], np.uint16), None),
        (np.array([[-3, 8]], np.float32), None),
        (np.array([[0, 0.3]], np.float32), None),
    ],
)
def test_a_range_that_is_little_of_its_type_is_a_warning(tmp_path, values, line):
    notes = open_images(fill(tmp_path, [tif(values)]), channels=1).notes
    warnings = [note for note in notes if "warning" in note]
    assert len(warnings) == (line is not None)
    assert line is None or line in warnings[0].replace("0.06300000101", "0.063")


def test_floats_in_0_to_1_stay_what_they_are(tmp_path):
    values = RNG.uniform(0.1, 0.8, (8, 8)).astype(np.float32)
    splits = open_images(fill(tmp_path, [tif(values)]), channels=1)
    assert np.abs(seen(splits.train)[0, 0] - values).max() < EXACT
    assert splits.train.range == (0, 1)
    assert "taken as it is" in splits.notes[0]


def test_a_set_of_one_value_is_refused(tmp_path):
    name = fill(tmp_path, [tif(np.full((4, 4), 700, np.uint16))])
    with pytest.raises(DataError, match="expected pictures that differ, received 700") as caught:
        len(open_images(name).train)
    assert "\n" not in str(caught.value)


def test_bytes_among_deep_pictures_are_divided_by_255_and_counted(tmp_path):
    deep, plain = np.array([[0, 1000]], np.uint16), np.array([[51, 255]], np.uint8)
    splits = open_images(fill(tmp_path, map_tif([deep, plain, plain])), channels=1)
    image = seen(splits.train)[:, 0, 0]
    assert np.abs(image - [[0, 1], [0.2, 1], [0.2, 1]]).max() < EXACT
    assert any("2 pictures of 8 bits are divided by 255, 1 of uint16" in n for n in splits.notes)


def test_deep_validation_beside_training_in_bytes_needs_a_range(tmp_path):
    plain, deep = np.array([[0, 255]], np.uint8), np.array([[0, 1000]], np.uint16)
    name = fill(tmp_path, [tif(plain)], validation=[tif(deep)])
    with pytest.raises(DataError, match=r"more than 8 bits.*name data\.range"):
        len(open_images(name).validation)


def test_a_declared_range_holds_for_a_set_in_bytes(tmp_path):
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    splits = open_images(fill(tmp_path, [tif(values)]), channels=1, range=[50, 150])
    assert np.abs(seen(splits.train)[0, 0] - unit(values, 50, 150)).max() < EXACT
    assert any("50 to 150 becomes 0 to 1 (data.range, declared)" in n for n in splits.notes)


@pytest.mark.parametrize("range", [[1], [3, 3], [5, 2], [0, float("inf")], "0..1", [0, True], 7])
def test_a_range_that_is_none(tmp_path, range):
    with pytest.raises(ConfigError, match=r"data\.range: expected null or \[low, high\]"):
        open_images("digits", range=range)


def test_a_range_names_another_set(tmp_path):
    name = fill(tmp_path, [tif(np.array([[0, 1000]], np.uint16))])
    prints = {open_images(name, range=r).fingerprint for r in (None, [0, 1000], [0, 4095])}
    assert len(prints) == 3
    plain = open_images("digits")
    assert open_images("digits", range=[0, 255]).fingerprint != plain.fingerprint
    # of 8 bits without a range: the formula of the first release
    how = {"size": None, "filter": "bilinear", "channels": None, "fit": "stretch"}
    form = {"raw": plain.train.part.digest, "recipe": how, "subset": None, "seed": None}
    digest = hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()
    assert plain.train.fingerprint == digest[:16]


def test_values_that_are_not_finite_are_left_out_and_named(tmp_path):
    good = np.array([[0, 4]], np.float32)
    bad = [np.array([[0, np.nan]], np.float32), np.array([[np.inf, 1]], np.float32)]
    splits = open_images(fill(tmp_path, map_tif([good, *bad])), channels=1)
    assert len(splits.train) == 1
    assert splits.train.range == (0, 4)
    assert sum("left out" in n and "not finite: 1 of 2" in n for n in splits.notes) == 2


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.uint32, np.float32])
def test_arrays_are_scaled_alike(dtype):
    values = RNG.integers(0, 4096, (5, 6, 7)).astype(dtype)
    part = ArrayPart(
        "arrays/train", f"test-{dtype.__name__}", list("abcde"), None, None, lambda: values
    )
    source = ImageSource(
        part, Recipe(None, "bilinear", None, "stretch"), Choice(None, 0, "data.subset")
    )
    exact = unit(values, values.min(), values.max())
    assert np.abs(seen(source)[:, 0] - exact).max() < EXACT


# -- white is zero, alpha, what is taken for something else ----------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_white_is_zero_in_every_depth(dtype, compression):
    top = np.iinfo(dtype).max
    stored = np.array([[0, 1, top // 2, top]], dtype)
    pixels = decode(tif(stored, photometric="miniswhite", compression=compression))
    assert pixels.dtype == dtype
    assert pixels.tolist() == [[top, top - 1, top - top // 2, 0]]


def test_alpha_of_a_deep_tiff_lies_on_black():
    values = RNG.integers(0, 65536, (6, 5, 4)).astype(np.uint16)
    pixels = decode(tif(values, photometric="rgb", extrasamples=["unassalpha"]))
    assert np.abs(pixels - values[..., :3] * (values[..., 3:] / 65535)).max() <= 0.51


def test_what_was_taken_for_something_else_is_counted(tmp_path):
    colours = Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    clear, opaque = colours.convert("RGBA"), colours.convert("RGBA")
    clear.putpixel((0, 0), (9, 9, 9, 0))
    for role in ("train", "validation"):
        (tmp_path / role).mkdir()
        made = {"a": colours.convert("CMYK"), "b": clear, "c": opaque, "d": colours.convert("L")}
        for name, image in {**made, "e": colours, "f": colours.convert("LAB")}.items():
            image.save(tmp_path / role / f"{name}.tif")
    text = "\n".join(open_images(str(tmp_path)).train.notes)
    assert "1 of 6 pictures: CMYK, taken for RGB (as train/a.tif)" in text
    assert "1 of 6 pictures: LAB, taken for RGB (as train/f.tif)" in text
    assert "1 of 6 pictures: transparency, laid on black (as train/b.tif)" in text
    assert "1 of 6 pictures are grey among colours" in text


@pytest.mark.parametrize(("turn", "expected"), [
    (1, lambda a: a), (2, np.fliplr), (3, lambda a: np.rot90(a, 2)), (4, np.flipud),
    (5, np.transpose), (6, lambda a: np.rot90(a, -1)), (7, lambda a: np.rot90(a, 2).T),
    (8, np.rot90),
])  # fmt: skip
def test_a_deep_tiff_is_turned_upright(turn, expected):
    values = np.arange(6, dtype=np.uint16).reshape(2, 3)
    raw = tif(values, extratags=[(274, "H", 1, turn, True)])
    assert decode(raw).tolist() == expected(values).tolist()


def test_other_channels_are_refused():
    values = np.zeros((4, 4, 5), np.uint16)
    with pytest.raises(DataError, match=r"5 samples a pixel.*expected grey or RGB"):
        decode(tif(values, photometric="minisblack", planarconfig="contig"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_band_is_left_out_and_counted(tmp_path, dtype):
    values = RNG.integers(0, 256, (4, 4, 4)).astype(dtype)
    raw = tif(values, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(decode(raw), values[..., :3])
    notes = open_images(fill(tmp_path, [raw])).train.notes
    assert any("1 of 1 pictures: a channel of no stated meaning, left out" in n for n in notes)


# -- large sets, and a person's own pictures -------------------------------------------------------


def test_files_are_scaled_as_memory(tmp_path):
    values = [RNG.integers(0, 4096, (12, 15)).astype(np.uint16) for _ in range(6)]
    name = fill(tmp_path, map_tif(values))
    how = {"size": (8, 10), "channels": 1}
    memory, files = open_images(name, **how), open_images(name, **how, resident_bytes=10)
    assert isinstance(files.train, FileSource)
    assert files.train.range == memory.train.range
    assert np.array_equal(seen(files.train), seen(memory.train))
    assert files.fingerprint == memory.fingerprint
    assert any("as measured over the training pictures" in note for note in files.notes)


def test_four_bytes_a_pixel_count_for_what_fits(tmp_path):
    name = fill(tmp_path, map_tif([RNG.integers(0, 4096, (8, 8)).astype(np.uint16)] * 2))
    how = {"size": 8, "channels": 1}
    assert isinstance(open_images(name, **how, resident_bytes=511).train, FileSource)
    assert isinstance(open_images(name, **how, resident_bytes=512).train, ImageSource)


def test_own_pictures_are_scaled_by_the_range_of_training(tmp_path):
    values = np.array([[0, 500, 1000, 2000]], np.uint16)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/a.tif").write_bytes(tif(values))
    source = open_images(fill(tmp_path / "set", [tif(np.array([[0, 1000]], np.uint16))])).train
    received = []
    how = Recipe(None, "bilinear", 1, "stretch").scaled_by(source.recipe.scale)
    rebuild(tmp_path / "own", tmp_path / "out", how, lambda x: received.append(x) or x)
    assert np.abs(received[0].double().numpy()[0, 0] - unit(values, 0, 1000)).max() < EXACT
    with Image.open(tmp_path / "out/a.png") as image:
        assert np.asarray(image)[..., 0].tolist() == [[0, 128, 255, 255]]


def test_without_a_range_sixteen_bits_are_whole_and_others_are_refused():
    how = Recipe(None, "bilinear", 1, "stretch")
    wide = np.array([[0, 65535]], np.uint16)
    assert render(wide, how)[0].tolist() == [[[0, 1]]]
    with pytest.raises(DataError, match="values of int32: expected 8 or 16 bits"):
        render(wide.astype(np.int32), how)


def test_copies_of_deep_pictures_are_noted(tmp_path):
    values = [RNG.integers(0, 60000, (24, 24)).astype(np.uint16) for _ in range(4)]
    name = fill(tmp_path, map_tif(values[:3]), validation=map_tif([values[1], values[3]]))
    notes = open_images(name).notes
    assert any("1 of 2 validation pictures is an exact copy" in note for note in notes)
