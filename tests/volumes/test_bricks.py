"""Cubes from bricks against slices of the array that was written."""

import itertools
import json

import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes.brick_writer import write_bricks
from famulus.volumes.bricks import ArrayVolume, Bricks, Piece
from famulus.volumes.open import open_volume
from tests.launch.tiny import complains, famulus


def volume(shape=(7, 21, 18), dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


@pytest.fixture
def written(tmp_path):
    array = volume()
    return array, write_bricks(
        tmp_path / "v.bricks", array, array.shape, array.dtype, brick=(4, 8, 8)
    )


def test_any_cube_is_the_slice(written):
    array, opened = written
    rng = np.random.default_rng(1)
    for _ in range(200):
        size = [int(rng.integers(1, n + 1)) for n in array.shape]
        start = [int(rng.integers(0, n - s + 1)) for n, s in zip(array.shape, size, strict=True)]
        out = np.empty(size, array.dtype)
        opened.read(start, out)
        z, y, x = (slice(a, a + n) for a, n in zip(start, size, strict=True))
        assert np.array_equal(out, array[z, y, x])


def test_pieces_of_any_order_and_size_are_the_volume(tmp_path):
    array, size = volume(), (3, 10, 7)  # no multiples of the bricks' sides
    starts = [range(0, n, s) for n, s in zip(array.shape, size, strict=True)]
    places = list(itertools.product(*starts))
    np.random.default_rng(2).shuffle(places)
    cut = [tuple(slice(a, a + n) for a, n in zip(p, size, strict=True)) for p in places]
    pieces = [Piece(tuple(map(int, p)), array[c]) for p, c in zip(places, cut, strict=True)]
    given = array.shape, array.dtype
    opened = write_bricks(tmp_path / "p.bricks", pieces, *given, brick=(4, 8, 8))
    planes = write_bricks(tmp_path / "q.bricks", array, *given, brick=(4, 8, 8))
    assert opened.header == planes.header  # and with it every brick's checksum
    with pytest.raises(DataError, match="expected 7 planes, received"):
        write_bricks(tmp_path / "r.bricks", pieces[1:], *given)
    with pytest.raises(DataError, match="plane 6: expected 7 planes"):
        write_bricks(tmp_path / "s.bricks", [Piece((6, 0, 0), array[:2])], *given)


@pytest.mark.parametrize("start", [(-1, 0, 0), (0, 0, 15), (5, 0, 0)])
def test_a_cube_that_leaves_the_volume_is_refused(written, start):
    """NumPy would take -1 as the far end, and shorten what hangs over."""
    array, opened = written
    for source in (opened, ArrayVolume(array, "x")):
        with pytest.raises(IndexError, match="leaves the volume"):
            source.read(start, np.empty((4, 4, 4), array.dtype))


def test_a_changed_byte_is_found_by_its_brick(written):
    _, opened = written
    opened.verify()
    with open(opened.folder / "voxels.raw", "r+b") as file:
        file.seek(8 * 8 * 4 * 2 + 10)  # in the second brick along x
        file.write(b"\xff\xfe")
    with pytest.raises(DataError, match=r"brick \(0, 0, 1\) is damaged"):
        Bricks(opened.folder).verify()


@pytest.fixture
def inked(tmp_path):
    """Bricks with a mask and labels."""
    array, path = volume(), tmp_path / "i.bricks"
    mask, labels = np.ones((21, 18), np.uint8), np.zeros((21, 18), np.uint8)
    labels[3, 4] = 1
    write_bricks(path, array, array.shape, array.dtype, extras={"mask": mask, "labels": labels})
    return path


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["mask", "labels"])
def test_another_mask_or_labels_are_not_taken(inked, name):
    file = inked / f"{name}.npy"
    whole = file.read_bytes()
    assert open_volume(inked).labels.sum() == 1
    flip(file)  # one bit of the last pixel
    with pytest.raises(DataError, match=rf"{name}\.npy: damaged or replaced"):
        open_volume(inked)
    file.write_bytes(whole[:40])
    with pytest.raises(DataError, match=rf"{name}\.npy: damaged or replaced"):
        open_volume(inked)
    file.unlink()
    with pytest.raises(DataError, match=rf"{name}\.npy: missing"):
        open_volume(inked)
    file.write_bytes(whole)
    assert open_volume(inked).labels.sum() == 1


def test_labels_put_there_afterwards_are_not_taken_for_converted_ones(written):
    _, opened = written
    assert open_volume(opened.folder).labels is None
    np.save(opened.folder / "labels.npy", np.ones((21, 18), np.uint8))
    with pytest.raises(DataError, match=r"labels\.npy: not converted with this volume"):
        open_volume(opened.folder)


def test_info_reads_every_byte(inked):
    said = famulus("data", "info", inked, "--json")
    row = said.json()
    assert row["shape"] == [7, 21, 18]
    assert row["dtype"] == "uint16"
    assert row["checksums"].startswith("sound")
    assert "mask and labels" in row["checksums"]
    flip(inked / "voxels.raw", 4000)
    open_volume(inked)  # voxels are too many to be read for that
    complains(famulus("data", "info", inked), 3, "brick (0, 0, 0) is damaged", "convert again")


def test_checksums_that_are_missing_are_seen(written):
    _, opened = written
    header = json.loads((opened.folder / "bricks.json").read_text())
    header["crc32"].pop()
    (opened.folder / "bricks.json").write_text(json.dumps(header))
    with pytest.raises(DataError, match="lacks checksums"):
        Bricks(opened.folder)


def test_a_truncated_or_unfinished_volume_is_named(written):
    _, opened = written
    path = opened.folder / "voxels.raw"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"voxels\.raw: expected \d+ bytes, received \d+"):
        Bricks(opened.folder)
    (opened.folder / "bricks.json").unlink()
    with pytest.raises(DataError, match="written last"):
        Bricks(opened.folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2}', '{"shape": [1, 2]}'])
def test_a_foreign_header_is_refused(written, text):
    _, opened = written
    (opened.folder / "bricks.json").write_text(text)
    with pytest.raises(DataError, match="expected a header"):
        Bricks(opened.folder)


def test_a_header_may_not_ask_for_the_moon(written):
    _, opened = written
    header = json.loads((opened.folder / "bricks.json").read_text())
    header["shape"] = [1 << 20, 1 << 20, 1 << 20]
    (opened.folder / "bricks.json").write_text(json.dumps(header))
    with pytest.raises(DataError, match="over the limit"):
        Bricks(opened.folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_named_by_their_plane(tmp_path, value):
    array = volume(dtype=np.float32)
    array[3, 2, 1] = value
    with pytest.raises(DataError, match="plane 3 holds NaN or infinite voxels"):
        write_bricks(tmp_path / "a.bricks", array, array.shape, array.dtype)


def test_wrong_planes_are_named_by_number(tmp_path):
    planes = [*volume()[:2], np.zeros((21, 17), np.uint16)]
    with pytest.raises(DataError, match="plane 2: expected"):
        write_bricks(tmp_path / "b.bricks", planes, (7, 21, 18), np.uint16)
    with pytest.raises(DataError, match="expected 7 planes, received 2"):
        write_bricks(tmp_path / "c.bricks", planes[:2], (7, 21, 18), np.uint16)
