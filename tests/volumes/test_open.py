"""Fragments as they come: what is missing, truncated or of another size is named."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes.bricks import Bricks
from famulus.volumes.open import convert, open_volume

SHAPE = (5, 12, 20)  # not square: swapped axes show


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 65_535, SHAPE).astype(np.uint16)
    (tmp_path / "surface_volume").mkdir()
    for z, plane in enumerate(volume):
        tifffile.imwrite(tmp_path / f"surface_volume/{z:02d}.tif", plane)
    mask = np.full(SHAPE[1:], 255, np.uint8)
    mask[:2] = 0
    labels = np.zeros(SHAPE[1:], np.uint8)
    labels[7, 3] = 255  # one marked pixel: y 7, x 3
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(labels).save(tmp_path / "inklabels.png")
    return tmp_path, volume


def whole(volume):
    out = np.empty(volume.shape, volume.dtype)
    volume.read((0, 0, 0), out)
    return out


def test_a_fragment_folder_is_read_with_mask_and_labels(folder):
    path, volume = folder
    fragment = open_volume(path)
    assert np.array_equal(whole(fragment.volume), volume)
    assert fragment.mask.sum() == 10 * 20
    assert np.argwhere(fragment.labels).tolist() == [[7, 3]]


def test_bricks_hold_the_same(folder, tmp_path):
    path, volume = folder
    convert(path, tmp_path / "f.bricks", dtype="uint16").verify()
    fragment = open_volume(tmp_path / "f.bricks")
    assert isinstance(fragment.volume, Bricks)
    assert np.array_equal(whole(fragment.volume), volume)
    assert np.argwhere(fragment.labels).tolist() == [[7, 3]]
    with pytest.raises(DataError, match="new folder"):
        convert(path, tmp_path / "f.bricks")


@pytest.mark.parametrize("how", ["pages", "stack", "npy"])
def test_other_containers_hold_the_same(folder, tmp_path, how):
    _, volume = folder
    path = tmp_path / ("v.npy" if how == "npy" else "v.tif")
    if how == "npy":
        np.save(path, volume)
    elif how == "stack":
        tifffile.imwrite(path, volume)
    else:
        with tifffile.TiffWriter(path) as file:
            for plane in volume:
                file.write(plane)
    fragment = open_volume(path)
    assert np.array_equal(whole(fragment.volume), volume)
    assert fragment.mask.all()
    assert "no mask found" in fragment.notes[0]


@pytest.mark.parametrize("ending", ["jpg", "png", "PNG"])
def test_a_segments_slices_may_be_pictures(tmp_path, ending):
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 255, SHAPE).astype(np.uint8)
    if ending == "jpg":
        volume = np.broadcast_to(rng.integers(0, 255, (SHAPE[0], 1, 1)), SHAPE).astype(np.uint8)
    (tmp_path / "layers").mkdir()
    for z, plane in enumerate(volume):
        Image.fromarray(plane).save(tmp_path / f"layers/{z:02d}.{ending}")
    assert np.array_equal(whole(open_volume(tmp_path).volume), volume)
    assert np.array_equal(whole(open_volume(tmp_path / "layers").volume), volume)
    Image.fromarray(np.zeros((20, 12, 3), np.uint8)).save(tmp_path / f"layers/04.{ending}")
    with pytest.raises(DataError, match=r"04\..*: expected a grey slice .* received RGB"):
        open_volume(tmp_path)
    (tmp_path / f"layers/03.{ending}").unlink()
    with pytest.raises(DataError, match=rf"slice 03\.{ending} is missing"):
        open_volume(tmp_path)
    tifffile.imwrite(tmp_path / "layers/00.tif", volume[0])
    with pytest.raises(DataError, match="slice 0 is there twice"):
        open_volume(tmp_path)


def test_a_missing_slice_is_named(folder):
    path, _ = folder
    (path / "surface_volume/03.tif").unlink()
    with pytest.raises(DataError, match=r"slice 03\.tif is missing"):
        open_volume(path)


def test_a_truncated_slice_is_named(folder):
    path, _ = folder
    file = path / "surface_volume/02.tif"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"02\.tif: truncated"):
        open_volume(path)


def test_a_slice_of_another_size_is_named(folder):
    path, _ = folder
    tifffile.imwrite(path / "surface_volume/04.tif", np.zeros((20, 12), np.uint16))
    with pytest.raises(DataError, match=r"04\.tif: expected \(12, 20\) uint16 as 00\.tif"):
        open_volume(path)


def test_8_bit_where_16_is_declared(folder, tmp_path):
    path, volume = folder
    for z, plane in enumerate(volume):
        tifffile.imwrite(path / f"surface_volume/{z:02d}.tif", (plane >> 8).astype(np.uint8))
    with pytest.raises(DataError, match="declared uint16, received uint8"):
        convert(path, tmp_path / "f.bricks", dtype="uint16")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("inklabels.png", np.zeros((20, 12)), r"labels: expected \(12, 20\)"),
        ("mask.png", np.zeros((12, 20)), "the mask is empty"),
        ("mask.png", np.ones((5, 5)), r"mask: expected \(12, 20\)"),
        ("inklabels.png", np.arange(240).reshape(12, 20), "expected two levels"),
    ],
)
def test_mask_and_labels_must_fit(folder, name, array, message):
    path, _ = folder
    Image.fromarray(array.astype(np.uint8)).save(path / name)
    with pytest.raises(DataError, match=message):
        open_volume(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_and_a_foreign_type(tmp_path, value):
    array = np.zeros(SHAPE, np.float32)
    array[4, 0, 0] = value
    np.save(tmp_path / "n.npy", array)
    with pytest.raises(DataError, match="plane 4 holds NaN or infinite"):
        open_volume(tmp_path / "n.npy")
    np.save(tmp_path / "d.npy", array.astype(np.complex64))
    with pytest.raises(DataError, match="expected voxels of"):
        open_volume(tmp_path / "d.npy")


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"expected a \.npy array of numbers"):
        open_volume(tmp_path / "o.npy")
