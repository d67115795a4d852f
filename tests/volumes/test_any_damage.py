"""Bytes changed, cut and doubled at random in every kind of file: one line, or a volume.

Nothing is left behind by a conversion that fails, and no other error than DataError is raised.
"""

import json
import random
import shutil

import pytest
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes.open import convert, open_volume
from tests.volumes.contents import numbers
from tests.volumes.test_info import bricks, dicom, nii, npy, nrrd_, slices, tif, zarr

TRIALS = 60  # of each kind
HEADER = 600  # bytes at the front, where most of what decides lies


def compressed(path):
    array = numbers(shape=(4, 40, 48))
    tifffile.imwrite(
        path / "c.tif", array, compression="lzw", tile=(16, 16), photometric="minisblack"
    )
    return path / "c.tif"


def ome(path):
    array = numbers(shape=(2, 4, 40, 48))
    tifffile.imwrite(path / "o.tif", array, ome=True, metadata={"axes": "TZYX"})
    return path / "o.tif"


def pictures(path):
    folder = path / "p"
    folder.mkdir()
    for z, plane in enumerate(numbers("uint8", (3, 40, 48))):
        Image.fromarray(plane).save(folder / f"{z}.{'jpg' if z == 1 else 'png'}")
    return folder


def damaged(raw, chance):
    """Another file of about the same bytes."""
    raw = bytearray(raw)
    kind = chance.randrange(6)
    if not raw or kind == 0:
        return raw[: chance.randrange(len(raw) + 1)]
    if kind == 1:
        at = chance.randrange(len(raw))
        return raw[:at] + raw[max(0, at - 40) :]
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(min(len(raw), HEADER) if kind < 5 else len(raw))
        raw[at] = chance.choice((0, 1, 255, 127, 128, chance.randrange(256)))
    return raw


def one_line(read, path):
    try:
        read(path)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "make", [npy, tif, compressed, ome, nii, nrrd_, zarr, bricks, slices, dicom, pictures]
)
def test_any_damage_is_one_line(tmp_path, make):
    path, chance = make(tmp_path), random.Random(make.__name__)
    files = [p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()]
    for trial in range(TRIALS):
        file = chance.choice(files)
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, chance))
        out = tmp_path / f"out{trial}.bricks"
        for read in (open_volume, lambda p, out=out: convert(p, out)):
            said = one_line(read, path) if make is not bricks or read is open_volume else None
            assert said is None or "\n" not in said, (trial, said)
            assert said is None or not out.exists(), (trial, said)
        shutil.rmtree(out, ignore_errors=True)
        file.write_bytes(whole)
    assert one_line(open_volume, path) is None or make is ome


def test_the_damage_does_damage():
    """Most changed headers are no headers: the trials above are no walk over sound files."""
    header = json.dumps({"shape": [1, 2, 3], "text": "x" * 200}).encode()
    chance, broken = random.Random(0), 0
    for _ in range(100):
        try:
            json.loads(bytes(damaged(header, chance)))
        except ValueError:
            broken += 1
    assert broken > 50
