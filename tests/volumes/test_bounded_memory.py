"""No reader takes more than its result and a bounded rest, and what does not fit is one line.

Each file here is small and claims, or holds compressed, far more than `LIMIT`; a process of its own
measures its peak.
"""

import gzip
import os
import subprocess
import sys
import textwrap

import nibabel
import nrrd
import numpy as np
import pytest
import tifffile

from famulus.config.errors import DataError
from famulus.volumes import memory, nifti
from famulus.volumes.open import open_volume
from tests.volumes.contents import numbers

MB = 1 << 20
SIDE = 8_000  # 128 MB of uint16
PROGRAM = """
import resource, sys
import numpy as np
from famulus.volumes import memory
from famulus.volumes.open import open_volume, stored
from pathlib import Path
memory.PIECE = 1 << 20
import imagecodecs, nibabel, nrrd  # before the first measurement
warm, path = Path(sys.argv[1]), Path(sys.argv[2])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
open_volume(warm)
before = peak()
if sys.argv[3] == "load":
    fragment = open_volume(path)
    assert fragment.volume.array.any()
else:
    assert sum(int(part.sum(dtype=np.int64)) for _, part in stored(path).pieces()) > 0
print(peak() - before)
"""


def taken(warm, path, how):
    """Bytes above what a small volume of the same kind takes, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(warm), str(path), how],
        capture_output=True, text=True, check=False, env=os.environ, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def zeros_but_one():
    array = np.zeros((1, SIDE, SIDE), np.uint16)
    array[0, 5, 5] = 9
    return array


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """One plane of 128 MB in every container that can be packed to less than one."""
    folder, array = tmp_path_factory.mktemp("large"), zeros_but_one()
    tifffile.imwrite(folder / "strips.tif", array, compression="zlib", rowsperstrip=64)
    tifffile.imwrite(folder / "tiles.tif", array, compression="lzw", tile=(256, 256))
    image = nibabel.Nifti1Image(array.T, np.eye(4))
    with gzip.open(folder / "v.nii.gz", "wb", compresslevel=1) as file:
        file.write(image.to_bytes())
    nrrd.write(str(folder / "v.nrrd"), array.T, {"encoding": "gzip"}, compression_level=1)
    (folder / "layers").mkdir()
    os.rename(folder / "strips.tif", folder / "layers/00.tif")
    (folder / "strips.tif").symlink_to(folder / "layers/00.tif")
    return folder


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    path = tmp_path_factory.mktemp("warm") / "v.tif"
    tifffile.imwrite(path, numbers(), compression="lzw")
    return path


NAMES = ["strips.tif", "tiles.tif", "v.nii.gz", "v.nrrd", "layers"]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_take_a_few_pieces(large, warm, name):
    """Read as a stream, 128 MB never lie in memory."""
    assert taken(warm, large / name, "stream") < 60 * MB


@pytest.mark.parametrize("name", ["strips.tif", "v.nii.gz"])
def test_loading_takes_the_result_and_a_few_pieces(large, warm, name):
    result, mask = 2 * SIDE * SIDE, SIDE * SIDE
    assert taken(warm, large / name, "load") < result + mask + 50 * MB


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_one_line_before_it_is_read(large, monkeypatch, name):
    monkeypatch.setattr(memory, "room", lambda: 100 * MB)
    with pytest.raises(DataError, match=r"1 x 8000 x 8000 of uint16 takes 0\.1 GB, .* convert"):
        open_volume(large / name)


def test_what_may_be_taken_follows_from_what_is_free(tmp_path, monkeypatch):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       9000000 kB\nMemAvailable:   240000 kB\n")
    monkeypatch.setattr(memory, "MACHINE", told)
    assert memory.free_bytes() == 240_000 * 1024
    assert memory.room() == 216_000 * 1024
    assert nifti.limit_bytes() == 10_000 * 1024
    for text in ("MemTotal: 9 kB\n", "MemAvailable: much\n", "MemAvailable:\n"):
        told.write_text(text)
        assert memory.free_bytes() is None
        assert (memory.room(), nifti.limit_bytes()) == (memory.MAX_RAM, nifti.LIMIT_BYTES)


def test_what_is_decoded_in_one_go_has_a_limit(tmp_path, monkeypatch):
    array = numbers()
    monkeypatch.setattr(memory, "PART", array[0].nbytes - 1)
    tifffile.imwrite(tmp_path / "v.tif", array, compression="zlib", rowsperstrip=37)
    with pytest.raises(DataError, match=r"page 0 has strips of .* GB, .* write it in tiles"):
        open_volume(tmp_path / "v.tif")
    # uncompressed rows are read one by one, whatever the strips are
    tifffile.imwrite(tmp_path / "w.tif", array, rowsperstrip=37)
    assert open_volume(tmp_path / "w.tif").volume.shape == array.shape


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path, monkeypatch):
    from PIL import Image

    np.save(tmp_path / "v.npy", numbers())
    Image.fromarray(numbers("uint8")[0]).save(tmp_path / "m.png")
    monkeypatch.setattr(memory, "PART", 37 * 52 - 1)
    with pytest.raises(DataError, match=r"m\.png: a picture of .* GB"):
        open_volume(tmp_path / "v.npy", mask=tmp_path / "m.png")
