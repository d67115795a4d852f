"""`famulus data info` of every kind of volume: what it is, and the YAML that uses it."""

import nibabel
import nrrd
import numpy as np
import pytest
import tifffile
from PIL import Image

from famulus.volumes import describe
from famulus.volumes.describe import info
from famulus.volumes.kinds import is_volume
from famulus.volumes.open import convert
from tests.launch.tiny import famulus
from tests.volumes.contents import numbers
from tests.volumes.test_dicom_series import write as write_dicom

ARRAY = numbers(shape=(4, 40, 48))


def npy(path):
    np.save(path / "v.npy", ARRAY)
    return path / "v.npy"


def tif(path):
    tifffile.imwrite(path / "v.tif", ARRAY, photometric="minisblack")
    return path / "v.tif"


def nii(path):
    nibabel.save(nibabel.Nifti1Image(ARRAY.T, np.diag([1, 2, 3, 1])), path / "v.nii.gz")
    return path / "v.nii.gz"


def nrrd_(path):
    header = {"space directions": np.diag([1.0, 2, 3]), "space": "left-posterior-superior"}
    nrrd.write(str(path / "v.nrrd"), ARRAY.T, header)
    return path / "v.nrrd"


def zarr(path):
    import zarr

    made = zarr.open_array(str(path / "v.zarr"), mode="w", shape=ARRAY.shape, dtype="uint16")
    made[:] = ARRAY
    return path / "v.zarr"


def bricks(path):
    convert(npy(path), path / "v.bricks")
    return path / "v.bricks"


def slices(path):
    (path / "d").mkdir()
    for z, plane in enumerate(ARRAY):
        tifffile.imwrite(path / f"d/s_{z}.tif", plane)
    Image.fromarray(np.full(ARRAY.shape[1:], 255, np.uint8)).save(path / "d/mask.png")
    return path / "d"


def dicom(path):
    return write_dicom(path / "d", ARRAY)


KINDS = [npy, tif, nii, nrrd_, zarr, bricks, slices, dicom]


@pytest.mark.parametrize("make", KINDS)
def test_every_kind_is_described(tmp_path, make):
    path = make(tmp_path)
    assert is_volume(path)
    said = famulus("data", "info", path, "--json")
    assert said.code == 0, said.err
    row = said.json()
    assert row["shape"] == list(ARRAY.shape)
    assert row["dtype"] == "uint16"
    assert row["kind"]
    if make is not bricks:
        assert row["range"] == [ARRAY.min(), ARRAY.max()]
        assert row["looked at"] == "all"
    if make in (nii, nrrd_):
        assert row["spacing"] == [3, 2, 1]
    assert ("no mask found" in str(row["notes"])) == (make is not slices)
    assert "kind: " in famulus("data", "info", path).out


def test_the_first_channel_is_described_and_said_to_be(tmp_path):
    five = numbers("int16", (4, 3, 40, 48), low=-1000, high=3000)  # Z C Y X
    tifffile.imwrite(tmp_path / "v.ome.tif", five, ome=True, metadata={"axes": "ZCYX"})
    row = info(tmp_path / "v.ome.tif")
    assert row["range"] == [five[:, 0].min(), five[:, 0].max()]
    assert row["axes"] == "ZCYX"
    assert any("the first of several channels" in note for note in row["notes"])
    said = famulus("data", "info", tmp_path / "v.ome.tif", "--channel", 2, "--json").json()
    assert said["range"] == [five[:, 2].min(), five[:, 2].max()]


def test_a_volume_too_large_to_be_looked_at_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(describe, "BUDGET", 0.0)
    row = info(npy(tmp_path))
    assert row["looked at"] == "the first 25.0% of the voxels"
    assert row["range"] == [ARRAY[0].min(), ARRAY[0].max()]
