"""OME-Zarr as other programs write it: axes by name, 0.5, missing and damaged chunks."""

import json

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.open import Part, convert, open_volume
from tests.volumes.contents import content, numbers, voxels

zarr = pytest.importorskip("zarr", reason="needs the extra zarr")
CHUNK = (2, 16, 16)
GRID = (3, 3, 4)  # chunks of a volume of 5 x 37 x 52


def ome(folder, array, axes, version="0.4", chunks=None, shards=None):
    """A group as NGFF 0.4 (Zarr 2) or 0.5 (Zarr 3, `ome`) wants it."""
    group = zarr.open_group(str(folder), mode="w", zarr_format=2 if version == "0.4" else 3)
    chunks = chunks or tuple(CHUNK["ZYX".index(a)] if a in "ZYX" else 1 for a in axes)
    stored = group.create_array(
        "s0", shape=array.shape, chunks=chunks, dtype=array.dtype, shards=shards, fill_value=7
    )
    stored[...] = array
    kinds = {"T": "time", "C": "channel"}
    named = [{"name": a.lower(), "type": kinds.get(a, "space")} for a in axes]
    scales = [{"axes": named, "datasets": [{"path": "s0"}]}]
    if version == "0.4":
        group.attrs["multiscales"] = scales
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["ZYX", "XYZ", "YXZ"])
@pytest.mark.parametrize("windows", [False, True])
def test_axes_are_taken_by_name(tmp_path, version, axes, windows):
    array = numbers()
    folder = ome(
        tmp_path / "v.zarr", array.transpose(["ZYX".index(a) for a in axes]), axes, version
    )
    fragment = open_volume(folder, windows=windows)
    assert np.array_equal(content(fragment.volume), array)
    assert not any("not there" in note for note in fragment.notes)
    convert(folder, tmp_path / "v.bricks")
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array)


@pytest.mark.parametrize("axes", ["TCZYX", "XYZCT"])
def test_channels_and_times_are_chosen(tmp_path, axes):
    five = numbers(shape=(2, 3, 4, 20, 30))
    folder = ome(tmp_path / "v.zarr", five.transpose(["TCZYX".index(a) for a in axes]), axes)
    assert np.array_equal(voxels(folder, channel=2, time=1), five[1, 2])
    part = Part(channel=1, time=0)
    lazily = open_volume(folder, windows=True, part=part)
    assert np.array_equal(content(lazily.volume), five[0, 1])
    other = open_volume(folder, windows=True, part=Part(channel=2, time=0))
    assert lazily.fingerprint != other.fingerprint
    with pytest.raises(DataError, match=r"3 channels .*data: {channel: 0}"):
        open_volume(folder, part=Part(time=1))


@pytest.mark.parametrize("version", [2, 3])
def test_a_bare_array_is_z_y_x_and_said_to_be(tmp_path, version):
    array = numbers()
    stored = zarr.open_array(
        str(tmp_path / "v.zarr"), mode="w", shape=array.shape, dtype=array.dtype,
        chunks=CHUNK, zarr_format=version,
    )  # fmt: skip
    stored[:] = array
    fragment = open_volume(tmp_path / "v.zarr")
    assert np.array_equal(content(fragment.volume), array)
    assert any("taken as z, y, x" in note for note in fragment.notes)


def test_a_group_without_multiscales_names_its_arrays(tmp_path):
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="w")
    for name in ("raw", "seg"):
        group.create_array(name, shape=(4, 4, 4), dtype="uint8")[:] = 1
    with pytest.raises(DataError, match=r"arrays in it: raw, seg: name one, as v\.zarr/NAME"):
        open_volume(tmp_path / "v.zarr")
    assert open_volume(tmp_path / "v.zarr/seg").volume.shape == (4, 4, 4)


def chunk_files(folder):
    return sorted(
        p
        for p in (folder / "s0").rglob("*")
        if p.is_file() and not p.name.startswith(".") and p.name != "zarr.json"
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_missing_chunks_are_counted(tmp_path, version):
    array = numbers()
    folder = ome(tmp_path / "v.zarr", array, "ZYX", version)
    files = chunk_files(folder)
    assert len(files) == np.prod(GRID)
    for file in files[::5]:
        file.unlink()
    count = len(files[::5])
    fragment = open_volume(folder)
    text = f"{count} of {np.prod(GRID)} chunks are not there: read as the fill value 7"
    assert any(text in note for note in fragment.notes)
    read = content(fragment.volume)
    assert ((read == array) | (read == 7)).all()
    assert (read != array).any()


def test_missing_chunks_of_another_channel_are_not_counted(tmp_path):
    array = numbers(shape=(2, 5, 37, 52))
    folder = ome(tmp_path / "v.zarr", array, "CZYX")
    first = [f for f in chunk_files(folder) if f.relative_to(folder / "s0").as_posix()[0] == "0"]
    first[0].unlink()
    texts = [open_volume(folder, part=Part(channel=c)).notes for c in (0, 1)]
    assert any("1 of 36 chunks" in note for note in texts[0])
    assert not any("not there" in note for note in texts[1])


def test_shards_are_counted_as_shards(tmp_path):
    folder = ome(tmp_path / "v.zarr", numbers(), "ZYX", "0.5", shards=(4, 32, 32))
    files = chunk_files(folder)
    files[0].unlink()
    notes = open_volume(folder).notes
    assert any(f"1 of {len(files)} shards are not there" in note for note in notes)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_truncated_chunk_is_named_by_its_file(tmp_path, version):
    folder = ome(tmp_path / "v.zarr", numbers(), "ZYX", version)
    file = chunk_files(folder)[7]
    file.write_bytes(file.read_bytes()[:20])
    for read in (open_volume, lambda p: convert(p, tmp_path / "v.bricks")):
        with pytest.raises(DataError, match="can't be read") as error:
            read(folder)
        assert str(file) in str(error.value)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "v.bricks").exists()


def test_a_path_out_of_the_store_is_refused(tmp_path):
    folder = ome(tmp_path / "v.zarr", numbers(), "ZYX")
    ome(tmp_path / "w.zarr", numbers(), "ZYX")
    attributes = json.loads((folder / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = "../w.zarr/s0"
    (folder / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(DataError, match="expected an array inside it"):
        open_volume(folder)


def test_a_chunk_that_must_be_held_whole_has_a_limit(tmp_path, monkeypatch):
    folder = ome(tmp_path / "v.zarr", numbers(), "ZYX", chunks=(5, 37, 52))
    monkeypatch.setattr(memory, "PART", 10_000)
    with pytest.raises(DataError, match=r"chunks of .* GB, which is decoded in one go"):
        open_volume(folder)
