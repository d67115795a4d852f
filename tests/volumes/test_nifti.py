"""NIfTI as nibabel writes it, and files that are damaged on purpose."""

import json

import nibabel
import numpy as np
import pytest

from famulus.config.errors import ConfigError, DataError
from famulus.volumes import nifti

AFFINE = np.array(
    [[0.0, 0.0, 2.0, 1.0], [-1.0, 0.0, 0.0, 5.0], [0.0, 1.5, 0.0, -3.0], [0, 0, 0, 1]]
)


def save(path, values, affine=AFFINE, sform=1, qform=1, dtype=np.float32):
    image = nibabel.Nifti1Image(values.astype(dtype), affine)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    nibabel.save(image, path)
    return path


def volume(shape=(5, 6, 7)):
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_there_and_back(tmp_path, name):
    """The tensor is the file's array with its axes reversed; affine and codes survive."""
    values = volume()
    read = nifti.read(save(tmp_path / name, values))
    assert read.shape == (7, 6, 5)
    assert np.allclose(read.values, values.T, atol=1e-6)
    assert read.scanner
    nifti.write(tmp_path / "out.nii.gz", read.values * 2, read, {"Units": "ppm"})
    again = nibabel.load(tmp_path / "out.nii.gz")
    assert np.allclose(again.get_fdata(), 2 * values, atol=1e-5)
    assert np.allclose(again.affine, AFFINE, atol=1e-5)
    assert again.header["sform_code"] == 1
    assert again.get_data_dtype() == np.float32
    assert json.loads((tmp_path / "out.json").read_text()) == {"Units": "ppm"}
    assert not list(tmp_path.glob(".*"))


def test_the_scanner_affine_wins(tmp_path):
    """A template sform is not the way to the scanner if the qform is."""
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), np.eye(4))
    image.set_sform(np.eye(4), code=4)
    turned = np.diag([2.0, 2.0, 2.0, 1.0])
    turned[:3, :3] = turned[:3, :3] @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    image.set_qform(turned, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    read = nifti.read(tmp_path / "a.nii")
    assert read.scanner
    assert np.allclose(read.affine, turned, atol=1e-5)
    save(tmp_path / "b.nii", volume(), sform=2, qform=0)
    assert not nifti.read(tmp_path / "b.nii").scanner


def test_scaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINE)
    image.header.set_slope_inter(0.5, -1)
    nibabel.save(image, tmp_path / "a.nii")
    assert nifti.read(tmp_path / "a.nii").values.max() == pytest.approx(23 * 0.5 - 1, abs=1)


def damaged(path, how):
    save(path, volume())
    raw = path.read_bytes()
    path.write_bytes(how(raw))
    return path


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda raw: raw[:-100], "can't be read"),
        (lambda raw: b"nothing like it" * 40, "not a readable NIfTI"),
        (lambda raw: b"", "not a readable NIfTI"),
        (lambda raw: raw[:40] + b"\x03\x00\xff\x7f\xff\x7f\xff\x7f" + raw[48:], "GB"),
        (lambda raw: raw[:40] + b"\x03\x00\x00\x00\x05\x00\x05\x00" + raw[48:], "above 0"),
        (lambda raw: raw[:40] + b"\x03\x00\xf0\xff\x05\x00\x05\x00" + raw[48:], "phase"),
    ],
)
def test_damaged_files(tmp_path, how, says):
    with pytest.raises(DataError, match=says) as error:
        nifti.read(damaged(tmp_path / "a.nii", how), "phase")
    assert "\n" not in str(error.value)


def test_4d_where_3d_is_meant(tmp_path):
    with pytest.raises(DataError, match=r"expected 3D, received 3 x 4 x 5 x 2"):
        nifti.read(save(tmp_path / "a.nii", volume((3, 4, 5, 2))))
    assert nifti.read(save(tmp_path / "b.nii", volume((3, 4, 5, 1)))).shape == (5, 4, 3)
    assert nifti.read(tmp_path / "a.nii", dimensions=4).shape == (2, 5, 4, 3)


def test_missing(tmp_path):
    with pytest.raises(DataError, match="found none"):
        nifti.read(tmp_path / "a.nii")


def test_grids_must_agree(tmp_path):
    first = nifti.read(save(tmp_path / "a.nii", volume()))
    nifti.same_grid(first, nifti.read(save(tmp_path / "b.nii", volume())), "mask")
    moved = AFFINE.copy()
    moved[0, 3] += 3
    with pytest.raises(DataError, match="3 mm away"):
        nifti.same_grid(first, nifti.read(save(tmp_path / "c.nii", volume(), moved)), "mask")
    with pytest.raises(DataError, match=r"5 x 6 x 7 voxels .* received 5 x 6 x 8"):
        nifti.same_grid(first, nifti.read(save(tmp_path / "d.nii", volume((5, 6, 8)))), "mask")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_grids_agree_to_a_tenth_of_a_voxel_at_the_far_corner(tmp_path, axis):
    """A step that is longer along one axis moves that corner by as many voxels as the axis has."""
    shape = (2, 5, 40)
    first = nifti.read(save(tmp_path / "a.nii", volume(shape), np.eye(4)))
    for apart, agrees in ((0.09, True), (0.11, False)):
        longer = np.eye(4)
        longer[axis, axis] += apart / shape[axis]
        second = nifti.read(save(tmp_path / "b.nii", volume(shape), longer))
        if agrees:
            nifti.same_grid(first, second, "mask")
            continue
        with pytest.raises(DataError, match=r"lies 0\.11 mm away"):
            nifti.same_grid(first, second, "mask")


def test_a_wrong_name_writes_nothing(tmp_path):
    first = nifti.read(save(tmp_path / "a.nii", volume()))
    for name, says in (("out.txt", "ends in .nii"), ("no/out.nii", "folder that exists")):
        with pytest.raises(ConfigError, match=says):
            nifti.write(tmp_path / name, first.values, first, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii"]


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000, "9" * 5_000])
def test_a_bad_sidecar(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="sidecar"):
        nifti.sidecar(tmp_path / "a.nii.gz")
    assert nifti.sidecar(tmp_path / "b.nii") == {}


def test_a_slope_beyond_float32_is_seen_in_the_values(tmp_path):
    image = nibabel.Nifti1Image(np.full((3, 4, 5), 1000, np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    slope = np.float32(3e38).tobytes() + bytes(4)
    (tmp_path / "a.nii").write_bytes(raw[:112] + slope + raw[120:])
    assert np.isinf(nifti.read(tmp_path / "a.nii").values).all()
