"""Folders of numbered slices under any name; what is no slice, or no file, is named."""

import os
import threading

import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes.kinds import is_volume
from famulus.volumes.open import convert, open_volume
from tests.volumes.contents import numbers, voxels


def write(folder, array, names):
    folder.mkdir(exist_ok=True)
    for plane, name in zip(array, names, strict=True):
        if name.endswith("tif"):
            tifffile.imwrite(folder / name, plane)
        else:
            Image.fromarray(plane).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("pattern", "dtype"),
    [
        ("slice_{:04d}.tif", "uint16"),
        ("img-{}.png", "uint8"),
        ("img-{}.png", "uint16"),
        ("scan 2 z{:03d}.TIF", "uint16"),
        ("{}.tif", "float32"),
        ("v1.0_{:02d}.tif", "int16"),
    ],
)
def test_any_prefix_and_a_number(tmp_path, pattern, dtype):
    """12 slices: by name 10 would stand before 2."""
    array = numbers(dtype, (12, 20, 30))
    array = np.abs(array) if dtype == "int16" else array
    names = [pattern.format(i) for i in range(3, 15)]
    folder = tmp_path / "d"
    folder.mkdir()
    for plane, name in zip(array, names, strict=True):
        save = tifffile.imwrite if name.lower().endswith("tif") else imsave
        save(folder / name, plane)
    assert np.array_equal(voxels(folder), array)
    convert(folder, tmp_path / "v.bricks")
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array)


def imsave(path, plane):
    Image.fromarray(plane).save(path)


def test_jpeg_slices(tmp_path):
    y, x = np.mgrid[:64, :80]
    array = np.stack([(y + x + 10 * z).astype(np.uint8) for z in range(3)])
    folder = write(tmp_path / "d", array, [f"z{z:03d}.jpg" for z in range(3)])
    assert np.abs(voxels(folder).astype(int) - array).max() < 8


def test_two_series_in_one_folder_are_refused(tmp_path):
    array = numbers()
    folder = write(tmp_path / "d", array, [f"a_{z}.tif" for z in range(5)])
    write(folder, array, [f"b_{z}.tif" for z in range(5)])
    with pytest.raises(DataError, match=r"2 series: a_0\.tif \(5\), b_0\.tif \(5\)"):
        open_volume(folder)


def test_a_missing_slice_is_named_as_it_would_be_called(tmp_path):
    folder = write(tmp_path / "d", numbers(), [f"slice_{z:04d}.tif" for z in range(8, 13)])
    (folder / "slice_0010.tif").unlink()
    with pytest.raises(DataError, match=r"slice slice_0010\.tif is missing \(1 in all\)"):
        open_volume(folder)


@pytest.mark.parametrize("ending", ["tif", "png"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_damaged_slice_is_named(tmp_path, ending, share):
    folder = write(tmp_path / "d", numbers(), [f"{z:02d}.{ending}" for z in range(5)])
    file = folder / f"03.{ending}"
    raw = file.read_bytes()
    for damaged in (raw[: int(len(raw) * share)], b"nothing like it" * 9, b""):
        file.write_bytes(damaged)
        for read in (open_volume, lambda p: convert(p, tmp_path / "v.bricks")):
            with pytest.raises(DataError) as error:
                read(folder)
            assert str(file) in str(error.value)
            assert "\n" not in str(error.value)
        assert not (tmp_path / "v.bricks").exists()


def test_what_a_conversion_did_not_write_stays(tmp_path):
    folder = write(tmp_path / "d", numbers(), [f"{z:02d}.png" for z in range(5)])
    raw = (folder / "03.png").read_bytes()
    (folder / "03.png").write_bytes(raw[:-100])
    out = tmp_path / "v.bricks"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"03\.png"):
        convert(folder, out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


def test_links_are_followed_and_dangling_ones_named(tmp_path):
    array = numbers()
    kept = write(tmp_path / "kept", array, [f"{z:02d}.tif" for z in range(5)])
    folder = tmp_path / "d"
    folder.mkdir()
    for file in kept.iterdir():
        (folder / file.name).symlink_to(file)
    assert np.array_equal(voxels(folder), array)
    (tmp_path / "link").symlink_to(folder)
    assert np.array_equal(voxels(tmp_path / "link"), array)
    (kept / "03.tif").unlink()
    with pytest.raises(DataError, match=r"03\.tif: a link to .*kept/03\.tif, which is not there"):
        open_volume(folder)


@pytest.mark.parametrize(
    "name", ["v.tif", "v.npy", "v.nii", "v.nii.gz", "v.nrrd", "d/02.tif", "d/02.png", "m.png"]
)
def test_a_fifo_is_never_opened(tmp_path, name):
    np.save(tmp_path / "a.npy", numbers())
    (tmp_path / "d").mkdir()
    suffix = name[-3:] if name.startswith("d/") else "tif"
    write(tmp_path / "d", numbers()[:2], [f"{z:02d}.{suffix}" for z in range(2)])
    os.mkfifo(tmp_path / name)
    errors = []

    def read():
        try:
            if name == "m.png":
                open_volume(tmp_path / "a.npy", mask=tmp_path / name)
            else:
                open_volume(tmp_path / name.partition("/")[0])
        except DataError as error:
            errors.append(str(error))

    # a thread: what waits for ever fails the test instead of holding it up
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert "expected a regular file, received a FIFO" in errors[0]
    assert str(tmp_path / name) in errors[0]


def test_is_volume_tells_slices_from_photographs(tmp_path):
    grey = numbers("uint8", (4, 80, 90))
    assert is_volume(write(tmp_path / "a", grey, [f"z{z}.png" for z in range(4)]))
    assert is_volume(write(tmp_path / "b", grey, [f"z{z}.tif" for z in range(4)]))
    photographs = np.repeat(grey[..., None], 3, 3)
    assert not is_volume(write(tmp_path / "c", photographs, [f"IMG_{z}.jpg" for z in range(4)]))
    small = grey[:, :28, :28]
    assert not is_volume(write(tmp_path / "e", small, [f"{z}.png" for z in range(4)]))
    assert not is_volume(tmp_path)
    assert not is_volume(tmp_path / "none")
    np.save(tmp_path / "v.npy", grey)
    assert is_volume(tmp_path / "v.npy")
    (tmp_path / "a.npz").write_bytes(b"")
    assert not is_volume(tmp_path / "a.npz")
