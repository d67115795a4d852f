"""OME-Zarr, as the library writes it and as the specification says it lies on disk."""

import json

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.open import convert, open_volume
from famulus.volumes.reader import Windows
from famulus.volumes.zarr_volume import Zarr

zarr = pytest.importorskip("zarr", reason="needs the extra zarr")
VOLUME = np.random.default_rng(0).integers(0, 60_000, (9, 40, 50)).astype(np.uint16)
CHUNK = (4, 16, 16)


def by_library(folder, axes=3, version=2):
    """An OME-Zarr group of two levels; with five axes the first two are time and channel."""
    group = zarr.open_group(str(folder), mode="w", zarr_format=version)
    for level, step in enumerate((1, 2)):
        data = VOLUME[::step, ::step, ::step].reshape(
            (1,) * (axes - 3) + VOLUME[::step, ::step, ::step].shape
        )
        array = group.create_array(
            str(level), shape=data.shape, chunks=(1,) * (axes - 3) + CHUNK, dtype=data.dtype
        )
        array[:] = data
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}, {"path": "1"}]}]
    return folder


def by_hand(folder):
    """Zarr 2 without its library: a header and raw chunks, C order, padded at the far edges."""
    (folder / "0").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    scales = {"multiscales": [{"version": "0.4", "datasets": [{"path": "0"}]}]}
    (folder / ".zattrs").write_text(json.dumps(scales))
    header = {
        "zarr_format": 2, "shape": VOLUME.shape, "chunks": CHUNK, "dtype": "<u2",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    (folder / "0/.zarray").write_text(json.dumps(header))
    grid = [-(-n // c) for n, c in zip(VOLUME.shape, CHUNK, strict=True)]
    for place in np.ndindex(*grid):
        chunk = np.zeros(CHUNK, "<u2")
        part = VOLUME[tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, CHUNK, strict=True))]
        chunk[tuple(slice(n) for n in part.shape)] = part
        (folder / "0" / ".".join(map(str, place))).write_bytes(chunk.tobytes())
    return folder


@pytest.mark.parametrize("axes", [3, 5])
@pytest.mark.parametrize("version", [2, 3])
def test_the_finest_level_is_read(tmp_path, axes, version):
    opened = open_volume(by_library(tmp_path / "v.zarr", axes, version))
    assert opened.volume.dtype == np.uint16
    assert np.array_equal(opened.volume.array, VOLUME)


def test_chunks_written_by_hand(tmp_path):
    assert np.array_equal(open_volume(by_hand(tmp_path / "v.zarr")).volume.array, VOLUME)


def test_it_becomes_bricks(tmp_path):
    bricks = convert(by_hand(tmp_path / "v.zarr"), tmp_path / "v.bricks", dtype="uint16")
    out = np.empty(VOLUME.shape, np.uint16)
    bricks.read((0, 0, 0), out)
    assert np.array_equal(out, VOLUME)
    with pytest.raises(DataError, match="declared uint8, received uint16"):
        convert(tmp_path / "v.zarr", tmp_path / "w.bricks", dtype="uint8")


@pytest.mark.parametrize("axes", [3, 5])
@pytest.mark.parametrize("most", [1, 4_100, 1 << 20])  # bytes: a chunk, two of 2,048, a row
def test_converting_holds_few_chunks_and_reads_each_once(tmp_path, monkeypatch, axes, most):
    monkeypatch.setattr(memory, "PIECE", most)
    folder = by_library(tmp_path / "v.zarr", axes)
    reader, met = Zarr(folder), np.zeros(VOLUME.shape, int)
    for (z, y, x), part in reader.pieces():
        assert part.nbytes <= max(most, 2 * np.prod(CHUNK))
        met[z : z + part.shape[0], y : y + part.shape[1], x : x + part.shape[2]] += 1
    assert (met == 1).all()
    out = np.empty(VOLUME.shape, np.uint16)
    convert(folder, tmp_path / "v.bricks").read((0, 0, 0), out)
    assert np.array_equal(out, VOLUME)


def test_windows_are_read_from_it_without_the_rest(tmp_path):
    folder = by_hand(tmp_path / "v.zarr")
    opened = open_volume(folder, windows=True)
    assert isinstance(opened.volume, Windows)
    for z, y, x in np.random.default_rng(0).integers(0, (5, 32, 42), (20, 3)):
        out = np.empty((4, 8, 8), np.uint16)
        opened.volume.read((z, y, x), out)
        assert np.array_equal(out, VOLUME[z : z + 4, y : y + 8, x : x + 8])
    assert opened.fingerprint == open_volume(folder, windows=True).fingerprint


def test_what_is_no_volume_is_named(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "empty.zarr/.zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(DataError, match=r"empty\.zarr: cannot be read as OME-Zarr"):
        open_volume(tmp_path / "empty.zarr")
    flat = zarr.open_array(str(tmp_path / "flat.zarr"), mode="w", shape=(8, 8), dtype="uint16")
    flat[:] = 1
    with pytest.raises(DataError, match=r"expected \(z, y, x\), received \(8, 8\)"):
        open_volume(tmp_path / "flat.zarr")
