"""Headers that are damaged or forged: one line each, never an internal error."""

import gzip
import io
import json
import os
import random

import nibabel
import nrrd
import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes.bricks import Bricks
from famulus.volumes.describe import info
from famulus.volumes.open import convert, open_volume
from tests.volumes.contents import numbers, voxels


@pytest.fixture
def bricks(tmp_path):
    np.save(tmp_path / "v.npy", numbers())
    convert(tmp_path / "v.npy", tmp_path / "v.bricks")
    return tmp_path / "v.bricks"


def header(folder, **fields):
    content = json.loads((folder / "bricks.json").read_text())
    for name, value in fields.items():
        if value is ...:
            del content[name]
        else:
            content[name] = value
    (folder / "bricks.json").write_text(json.dumps(content))


def test_a_header_without_notes_is_read(bricks):
    header(bricks, notes=...)
    assert np.array_equal(voxels(bricks), numbers())
    assert open_volume(bricks).notes == []
    assert info(bricks)["checksums"].startswith("sound")


@pytest.mark.parametrize(
    "fields",
    [
        {"notes": "text"},
        {"notes": [1]},
        {"notes": None},
        {"crc32": [1.5]},
        {"crc32": "x"},
        {"crc32": [None]},
        {"extras": []},
        {"shape": 5},
        {"shape": [5, 37]},
        {"shape": [5.0, 37, 52]},
        {"shape": {"z": 5}},
        {"shape": [True, 37, 52]},
        {"brick": [[1], 2, 3]},
        {"dtype": ["uint16"]},
        {"dtype": {}},
        {"version": "2"},
        {"window": [1]},
        {"window": [2, 1]},
        {"window": "01"},
        {"window": [0, float("inf")]},
        {"window": [None, 1]},
        {"shape": [0, 37, 52]},
        {"shape": [-5, 37, 52]},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_is_one_line(bricks, fields):
    header(bricks, **fields)
    with pytest.raises(DataError, match=r"bricks\.json: expected a header of version 2"):
        open_volume(bricks)


@pytest.mark.parametrize(
    "text",
    [
        '{"shape": Infinity}',
        '{"version": NaN}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 5_000,
        '{"version": ' + "9" * 5_000 + "}",
        "null",
        '"text"',
        "",
        "\x00",
    ],
    ids=range(10),
)
def test_text_that_is_no_header_is_one_line(bricks, text):
    (bricks / "bricks.json").write_text(text)
    with pytest.raises(DataError, match=r"bricks\.json: expected a header of version 2"):
        open_volume(bricks)


def test_infinity_within_a_good_header_is_refused(bricks):
    text = (bricks / "bricks.json").read_text()
    (bricks / "bricks.json").write_text(text[:-1] + ', "more": Infinity}')
    with pytest.raises(DataError, match="expected a header"):
        Bricks(bricks)


@pytest.mark.parametrize("shape", [(), (5,), (5, 4), (2, 3, 4, 5), (0, 4, 4), (4, 4, 0)])
def test_arrays_of_other_axes(tmp_path, shape):
    np.save(tmp_path / "v.npy", np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match=r"v\.npy: expected") as error:
        open_volume(tmp_path / "v.npy")
    assert "\n" not in str(error.value)


def test_any_damage_to_a_npy_is_one_line(tmp_path):
    """Bytes of the header changed at random, and cut anywhere."""
    file = io.BytesIO()
    np.save(file, numbers(shape=(3, 4, 5)))
    whole, random_ = file.getvalue(), random.Random(0)
    path = tmp_path / "v.npy"
    for trial in range(400):
        raw = bytearray(whole)
        if trial % 4 == 0:
            raw = raw[: random_.randrange(len(raw))]
        else:
            for _ in range(1 + trial % 3):
                raw[random_.randrange(128)] = random_.choice(b"(){}[],'\":0129fuiO<>|\x00\xff \n")
        path.write_bytes(raw)
        said = one_line(path)
        assert said is None or (str(path) in said and "\n" not in said), (trial, said)


def one_line(path):
    """What is said of a file, None if it is a volume after all; any other error fails the test."""
    try:
        open_volume(path)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.nrrd"])
def test_sizes_that_a_file_cannot_hold_are_refused_before_anything_is_taken(tmp_path, name):
    """3.5e9 rows of 2 in one plane: a mask of that plane alone takes 7 GB."""
    path, array = tmp_path / name, numbers(shape=(1, 3, 2))
    if name == "v.nrrd":
        nrrd.write(str(path), array.T, {"encoding": "gzip"})
        raw = path.read_bytes()
        path.write_bytes(raw.replace(b"sizes: 2 3 1", b"sizes: 2 3500000000 1"))
    else:
        plain = tmp_path / "plain.nii"
        nibabel.save(nibabel.Nifti2Image(array.T, np.eye(4)), plain)
        raw = plain.read_bytes()
        raw = raw[:32] + (3_500_000_000).to_bytes(8, "little") + raw[40:]
        path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    with pytest.raises(DataError, match=r"v\.n.*expected 140000.* bytes, received \d+"):
        convert(path, tmp_path / "v.bricks")
    assert not (tmp_path / "v.bricks").exists()


def test_a_slope_beyond_float32_is_named_without_a_warning(tmp_path):
    image = nibabel.Nifti1Image(numbers(shape=(3, 4, 5)).T, np.eye(4))
    nibabel.save(image, tmp_path / "v.nii")
    raw = (tmp_path / "v.nii").read_bytes()
    slope = np.float32(3e38).tobytes() + bytes(4)
    (tmp_path / "v.nii").write_bytes(raw[:112] + slope + raw[120:])
    with pytest.raises(DataError, match="plane 0 holds NaN or infinite"):
        open_volume(tmp_path / "v.nii")


@pytest.mark.parametrize("place", ["0.0.0", ".zarray", "pipe/0.0.0"])
def test_no_fifo_of_a_zarr_is_opened(tmp_path, place):
    zarr = pytest.importorskip("zarr")
    made = zarr.create_array(
        str(tmp_path / "v.zarr"), shape=(4, 8, 8), chunks=(4, 8, 8), dtype="uint16", zarr_format=2
    )
    made[:] = 1
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / "v.zarr/pipe").symlink_to(other)
    (other / "round").symlink_to(tmp_path / "v.zarr")
    assert open_volume(tmp_path / "v.zarr").volume.shape == (4, 8, 8)
    (tmp_path / "v.zarr" / place).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "v.zarr" / place)
    with pytest.raises(DataError, match=rf"{place}: expected a regular file, received a FIFO"):
        open_volume(tmp_path / "v.zarr")


def test_a_size_that_is_no_whole_number_is_refused_without_a_warning(tmp_path):
    nrrd.write(str(tmp_path / "v.nrrd"), numbers(shape=(3, 4, 5)).T, {"encoding": "raw"})
    raw = (tmp_path / "v.nrrd").read_bytes()
    (tmp_path / "v.nrrd").write_bytes(raw.replace(b"sizes: 5 4 3", b"sizes: 5 nan 3"))
    with pytest.raises(DataError, match=r"v\.nrrd: "):
        open_volume(tmp_path / "v.nrrd")


@pytest.mark.parametrize(
    ("side", "says"), [(1 << 20, "of bool takes 1099.5 GB.*no mask"), (1 << 31, "GB of bricks")]
)
def test_a_plane_too_large_for_its_mask_is_refused(tmp_path, side, says):
    """A Zarr of no chunks may be of any size."""
    pytest.importorskip("zarr")
    (tmp_path / "v.zarr").mkdir()
    header = {
        "zarr_format": 2, "shape": [1, side, side], "chunks": [1, 64, 64], "dtype": "<u2",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    (tmp_path / "v.zarr/.zarray").write_text(json.dumps(header))
    with pytest.raises(DataError, match=says):
        convert(tmp_path / "v.zarr", tmp_path / "v.bricks")
    assert not (tmp_path / "v.bricks").exists()
