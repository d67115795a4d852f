"""Libraries that would print beside the one line of an error: seen in a process of its own."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

DECODE = """
import sys
from famulus.config.errors import DataError
from famulus.images.decoding import decode
try:
    decode(open(sys.argv[1], "rb").read())
except DataError as error:
    print(error)
"""
PILLOW = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"
READ = """
import sys
from pathlib import Path
from famulus.volumes.nifti import read
print(read(Path(sys.argv[1])).shape)
"""
NIBABEL = "import sys, nibabel; print(nibabel.load(sys.argv[1]).shape)"


def stderr(program, path):
    return subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True
    ).stderr


def jpeg_tables(path):
    """Lines of libtiff, from C: what should begin a JPEG within a TIFF does not."""
    Image.new("RGB", (40, 30), (3, 4, 5)).save(path, compression="jpeg")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"\xff\xd8", b"II"))


def far_tag(path):
    """A warning of Pillow: a text that would reach beyond the file."""
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), software="a text of some length")
    raw = path.read_bytes()
    place = raw.index(b"\x31\x01\x02\x00") + 4
    path.write_bytes(raw[:place] + (1 << 30).to_bytes(4, "little") + raw[place + 4 :])


@pytest.mark.parametrize("damage", [jpeg_tables, far_tag])
def test_a_damaged_tiff_prints_nothing(tmp_path, damage):
    damage(tmp_path / "a.tif")
    assert re.search("Tag data|JPEG", stderr(PILLOW, tmp_path / "a.tif"))
    assert stderr(DECODE, tmp_path / "a.tif") == ""


def test_what_nibabel_logs_is_not_printed(tmp_path):
    import nibabel

    path = tmp_path / "v.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4)), path)
    raw = path.read_bytes()
    path.write_bytes(raw[:80] + np.float32(-1).tobytes() + raw[84:])  # a voxel's size
    assert "pixdim" in stderr(NIBABEL, path)
    assert stderr(READ, path) == ""
