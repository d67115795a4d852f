"""NIfTI as a volume of voxels, against nibabel and the arrays that were written."""

import gzip

import nibabel
import numpy as np
import pytest

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.open import Part, convert, open_volume
from tests.volumes.contents import content, numbers, voxels


def save(path, array_ZYX, kind=nibabel.Nifti1Image, scale=None):
    """The file's order is the reverse: x fastest."""
    image = kind(array_ZYX.T, np.diag([0.5, 0.75, 2.0, 1.0]))
    if scale:
        image.header.set_slope_inter(*scale)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_axes_are_reversed(tmp_path, monkeypatch, name, kind, dtype, piece):
    monkeypatch.setattr(memory, "PIECE", piece)
    array = numbers(dtype)
    path = save(tmp_path / name, array, kind)
    assert np.array_equal(voxels(path), array)
    assert np.array_equal(nibabel.load(path).dataobj[:], array.T)
    convert(path, tmp_path / "v.bricks")
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array)


def test_big_endian(tmp_path):
    array = numbers()
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">u2")
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4), header), tmp_path / "v.nii")
    assert (tmp_path / "v.nii").read_bytes()[:4] == b"\x00\x00\x01\x5c"
    assert np.array_equal(voxels(tmp_path / "v.nii"), array)


def test_the_scale_is_applied_and_said(tmp_path):
    path = tmp_path / "v.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6)), np.eye(4))
    image.header.set_data_dtype(np.int16)
    image.header.set_slope_inter(0.5, -100)
    values = np.linspace(-100, 400, 120).reshape(4, 5, 6)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4), image.header), path)
    want = nibabel.load(path).get_fdata().T
    fragment = open_volume(path)
    assert fragment.volume.dtype == np.float32
    assert np.allclose(content(fragment.volume), want, rtol=1e-6)
    assert any("int16 times" in note for note in fragment.notes)


def test_a_series_needs_a_time(tmp_path):
    series = numbers(shape=(3, 4, 20, 30))
    path = save(tmp_path / "v.nii.gz", series)
    with pytest.raises(DataError, match=r"axes TZYX of sizes 3, 4, 20, 30.*data: {time: 0}"):
        open_volume(path)
    assert np.array_equal(voxels(path, time=2), series[2])
    with pytest.raises(DataError, match=r"data\.time: expected 0 to 2, received 3"):
        open_volume(path, part=Part(time=3))
    single = save(tmp_path / "w.nii", numbers(shape=(1, 4, 20, 30)))
    assert open_volume(single).volume.shape == (4, 20, 30)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_truncated_file_is_named(tmp_path, name, share):
    path = save(tmp_path / name, numbers())
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    for read in (open_volume, lambda p: convert(p, tmp_path / "v.bricks")):
        with pytest.raises(DataError, match=r"truncated in|can't be read|NIfTI header") as error:
            read(path)
        assert str(path) in str(error.value)
    assert not (tmp_path / "v.bricks").exists()


def test_no_more_is_unpacked_than_the_header_says(tmp_path):
    """A gzip that goes on for 200 MB behind a volume of 20 kB; and a header that asks for more."""
    path = save(tmp_path / "v.nii", numbers())
    raw = path.read_bytes()
    with gzip.open(tmp_path / "b.nii.gz", "wb", compresslevel=1) as file:
        file.write(raw)
        for _ in range(200):
            file.write(bytes(1 << 20))
    assert np.array_equal(voxels(tmp_path / "b.nii.gz"), numbers())
    huge = raw[:40] + b"\x03\x00\xff\x7f\xff\x7f\xff\x7f" + raw[48:]
    (tmp_path / "h.nii.gz").write_bytes(gzip.compress(huge))
    with pytest.raises(DataError, match=r"32767 x 32767 x 32767 .* GB, more than the .* GB"):
        open_volume(tmp_path / "h.nii.gz")


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"nothing like it" * 40,
        lambda raw: b"",
        lambda raw: raw[:40] + b"\x03\x00\xf0\xff\x05\x00\x05\x00" + raw[48:],
        lambda raw: raw[:70] + b"\xff\xff" + raw[72:],  # no such type
        lambda raw: raw[:108] + b"\x00\x00\xc0\x7f" + raw[112:],  # voxels begin at NaN
        lambda raw: raw[:108] + b"\x00\x00\x00\xcf" + raw[112:],  # and far before the file
        lambda raw: raw[:344] + b"zz\x00\x00" + raw[348:],
    ],
)
def test_a_damaged_header_is_one_line(tmp_path, damage):
    path = save(tmp_path / "v.nii", numbers())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as error:
        open_volume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
