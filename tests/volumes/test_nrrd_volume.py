"""NRRD as pynrrd writes it, and by hand."""

import sys

import nrrd
import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.open import convert, open_volume
from tests.volumes.contents import numbers, voxels


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("name", ["v.nrrd", "v.nhdr"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32"])
def test_axes_are_reversed(tmp_path, monkeypatch, encoding, name, dtype):
    monkeypatch.setattr(memory, "PIECE", 300)
    array = numbers(np.dtype(dtype).newbyteorder("="))
    header = {"encoding": encoding}
    # pynrrd: index order F, the first index of the array is the fastest of the file
    nrrd.write(str(tmp_path / name), array.T.astype(dtype), header)
    assert np.array_equal(voxels(tmp_path / name), array)
    convert(tmp_path / name, tmp_path / "v.bricks")
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array)


@pytest.mark.parametrize("axis", [0, 3])
@pytest.mark.parametrize("kind", ["vector", "time"])
def test_an_axis_that_is_no_space_is_chosen(tmp_path, axis, kind):
    four = numbers(shape=(3, 5, 37, 52))  # C Z Y X
    kinds = ["domain"] * 3
    kinds.insert(axis, kind)
    array = np.moveaxis(four.T, 3, axis)
    nrrd.write(str(tmp_path / "v.nrrd"), array, {"kinds": kinds})
    key = "time" if kind == "time" else "channel"
    assert np.array_equal(voxels(tmp_path / "v.nrrd", **{key: 2}), four[2])
    with pytest.raises(DataError, match=rf"data: {{{key}: 0}}"):
        open_volume(tmp_path / "v.nrrd")


def test_skips_and_a_detached_file(tmp_path):
    array = numbers()
    (tmp_path / "v.raw").write_bytes(b"one line\nanother\n" + b"xyz" + array.tobytes())
    text = (
        "NRRD0004\ntype: uint16\ndimension: 3\nsizes: 52 37 5\nendian: little\nencoding: raw\n"
        "line skip: 2\nbyte skip: 3\nspacings: 1 2 3\ndata file: v.raw\n\n"
    )
    (tmp_path / "v.nhdr").write_text(text)
    assert np.array_equal(voxels(tmp_path / "v.nhdr"), array)
    (tmp_path / "w.nhdr").write_text(text.replace("line skip: 2\nbyte skip: 3", "byte skip: -1"))
    assert np.array_equal(voxels(tmp_path / "w.nhdr"), array)
    (tmp_path / "x.nhdr").write_text(text.replace("v.raw", "none.raw"))
    with pytest.raises(DataError, match=r"none\.raw: does not exist"):
        open_volume(tmp_path / "x.nhdr")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_truncated_file_is_named(tmp_path, share, encoding):
    path = tmp_path / "v.nrrd"
    nrrd.write(str(path), numbers().T, {"encoding": encoding})
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DataError) as error:
        open_volume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sizes: 52 37 5", "sizes: 52 37"),
        ("sizes: 52 37 5", "sizes: 52 -37 5"),
        ("sizes: 52 37 5", "sizes: 99999 99999 99999"),
        ("type: uint16", "type: block"),
        ("encoding: raw", "encoding: hex"),
        ("NRRD0004", "MRRD0004"),
        ("dimension: 3", "dimension: x"),
    ],
)
def test_a_damaged_header_is_one_line(tmp_path, before, after):
    text = "NRRD0004\ntype: uint16\ndimension: 3\nsizes: 52 37 5\nendian: little\nencoding: raw\n\n"
    assert before in text
    raw = text.replace(before, after).encode() + numbers().tobytes()
    (tmp_path / "v.nrrd").write_bytes(raw)
    with pytest.raises(DataError, match=r"v\.nrrd") as error:
        open_volume(tmp_path / "v.nrrd")
    assert "\n" not in str(error.value)


def test_the_extra_is_named(tmp_path, monkeypatch):
    nrrd.write(str(tmp_path / "v.nrrd"), numbers().T)
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(DataError, match=r"pip install 'famulus\[formats\]'"):
        open_volume(tmp_path / "v.nrrd")
