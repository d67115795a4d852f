"""From a file's numbers to voxels, against float64 formulas; windows in headers and over nets."""

import json

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes.bricks import Bricks
from famulus.volumes.open import Part, convert, open_volume
from tests.launch.tiny import complains, famulus
from tests.volumes.contents import content, numbers, voxels


def save(tmp_path, array):
    np.save(tmp_path / "v.npy", array)
    return tmp_path / "v.npy"


@pytest.mark.parametrize(
    ("source", "stored", "said"),
    [
        ("bool", "uint8", True),
        ("uint8", "uint8", False),
        ("uint16", "uint16", False),
        ("int16", "uint16", True),
        ("int32", "uint16", True),
        ("uint32", "uint16", True),
        ("int64", "uint16", True),
        ("float16", "float32", True),
        ("float32", "float32", False),
        ("float64", "float32", True),
    ],
)
@pytest.mark.parametrize("blocks", [False, True])
def test_what_fits_is_stored_without_loss(tmp_path, source, stored, said, blocks):
    array = numbers(source)
    path = save(tmp_path, array)
    fragment = open_volume(path, windows=blocks)
    assert fragment.volume.dtype == stored
    assert np.array_equal(content(fragment.volume), array.astype(stored))
    assert any(f"{source} is stored as {stored}" in n for n in fragment.notes) == said
    assert convert(path, tmp_path / "v.bricks").dtype == stored
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array.astype(stored))


@pytest.mark.parametrize("source", ["int8", "int16", "int32", "int64", "uint32"])
@pytest.mark.parametrize("blocks", [False, True])
def test_what_does_not_fit_is_refused_with_the_window_that_holds_it(tmp_path, source, blocks):
    low, high = (0, 70_000) if source == "uint32" else (-100, 100)
    array = numbers(source, low=low, high=high)
    array[0, 0, :2] = low, high
    path = save(tmp_path, array)
    with pytest.raises(DataError, match=rf"data: {{range: \[{low}, {high}\]}}"):
        open_volume(path, windows=blocks)
    text = complains(famulus("data", "convert", path, tmp_path / "v.bricks"), 3, "--range")
    *_, low_said, high_said = text.rstrip(")\n").split()
    assert not (tmp_path / "v.bricks").exists()
    # the line that it proposes works
    said = famulus("data", "convert", path, tmp_path / "v.bricks", "--range", low_said, high_said)
    assert said.code == 0
    assert np.abs(decoded(tmp_path / "v.bricks") - array).max() <= (high - low) / 65_535 / 2 + 1e-9


def decoded(path):
    """Values that stored voxels stand for."""
    fragment = open_volume(path)
    low, high = fragment.window
    return low + content(fragment.volume).astype(np.float64) / 65_535 * (high - low)


@pytest.mark.parametrize(
    "source", ["int16", "uint8", "uint16", "float32", "float64", ">i4", "bool"]
)
@pytest.mark.parametrize("blocks", [False, True])
def test_a_window_becomes_the_whole_of_uint16(tmp_path, source, blocks):
    array = numbers(np.dtype(source).newbyteorder("=")).astype(source)
    low, high = (-0.5, 0.75) if array.dtype.kind == "f" else (10, 200)
    share = (array.astype(np.float64) - low) / (high - low)
    want = np.rint(np.clip(share, 0, 1) * 65_535)
    fragment = open_volume(save(tmp_path, array), windows=blocks, part=Part(range=(low, high)))
    assert fragment.volume.dtype == np.uint16
    assert np.abs(content(fragment.volume) - want).max() <= 1
    assert any("is stored as uint16: 0 to 65535" in note for note in fragment.notes)


def test_the_window_stands_in_the_header(tmp_path):
    path = save(tmp_path, numbers("int16", low=-1000, high=3000))
    made = convert(path, tmp_path / "v.bricks", part=Part(range=(-1000, 3000)))
    assert json.loads((tmp_path / "v.bricks/bricks.json").read_text())["window"] == [-1000, 3000]
    assert made.window == open_volume(tmp_path / "v.bricks").window == (-1000, 3000)
    same = open_volume(tmp_path / "v.bricks", part=Part(range=(-1000, 3000)))
    assert np.array_equal(content(same.volume), content(made))
    with pytest.raises(DataError, match=r"was converted with \[-1000\.0, 3000\.0\]"):
        open_volume(tmp_path / "v.bricks", part=Part(range=(0, 3000)))


def test_a_header_without_a_window_is_as_before(tmp_path):
    array = numbers(high=1000)
    convert(save(tmp_path, array), tmp_path / "v.bricks")
    assert "window" not in json.loads((tmp_path / "v.bricks/bricks.json").read_text())
    assert Bricks(tmp_path / "v.bricks").window is None
    narrowed = open_volume(tmp_path / "v.bricks", part=Part(range=(0, 1000)))
    want = np.rint(array / 1000 * 65_535)
    assert np.abs(content(narrowed.volume) - want).max() <= 1
    assert narrowed.fingerprint != open_volume(tmp_path / "v.bricks").fingerprint


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), (1,), (1, 2, 3)])
def test_a_window_must_be_two_numbers_in_order(tmp_path, window):
    with pytest.raises(DataError, match=r"data\.range: expected \[low, high\]"):
        open_volume(save(tmp_path, numbers()), part=Part(range=window))


@pytest.mark.parametrize("top", [1023, 4095, 16_000, 17_000, 65_535])
@pytest.mark.parametrize("way", ["memory", "blocks", "bricks"])
def test_few_grey_levels_in_16_bits_are_said(tmp_path, top, way):
    array = numbers(high=top)
    array[:, ::2, ::2] = np.array([0, top], np.uint16)[np.arange(26) % 2]
    path = save(tmp_path, array)
    if way == "bricks":
        convert(path, path := tmp_path / "v.bricks")
    notes = open_volume(path, windows=way == "blocks").notes
    warned = [note for note in notes if "data: {range: [0, " in note]
    assert len(warned) == (top < 16_384)
    part = Part(range=(0, top))
    assert not any("use " in note for note in open_volume(path, part=part).notes)


def test_float64_beyond_float32_is_refused(tmp_path):
    array = numbers("float64")
    array[2, 0, 0] = 1e300
    with pytest.raises(DataError, match="plane 2 holds NaN or infinite"):
        open_volume(save(tmp_path, array))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_what_is_no_number_has_no_place_in_a_window(tmp_path, source, value):
    array = numbers(source)
    array[3, 1, 2] = value
    for read in (open_volume, lambda p, part: convert(p, tmp_path / "v.bricks", part=part)):
        with pytest.raises(DataError, match="plane 3 holds NaN or infinite"):
            read(save(tmp_path, array), part=Part(range=(-1, 1)))
    assert not (tmp_path / "v.bricks").exists()


def test_what_no_sample_saw_is_never_wrapped_around(tmp_path):
    """Blocks look at 64 cubes; -1 elsewhere would be 65,535."""
    array = np.zeros((8, 400, 400), np.int16)
    array[:, ::2] = 100
    seen = np.full(array.shape, -1, np.int16)
    refused = 0
    for z, y, x in [(4, 390, 2), (7, 199, 399), (3, 7, 395)]:
        seen[:] = array
        seen[z, y, x] = -1
        try:
            volume = open_volume(save(tmp_path, seen), windows=True).volume
        except DataError:  # one of the 64 cubes met it
            continue
        refused += 1
        with pytest.raises(DataError, match="int16 from -1 to 100 does not fit into uint16"):
            content(volume)
    assert refused
