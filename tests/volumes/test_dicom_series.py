"""A folder of DICOM slices: ordered by place, rescaled, and refused where one is missing."""

import random
import sys

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1

from famulus.config.errors import DataError
from famulus.volumes.open import Part, convert, open_volume
from tests.volumes.contents import content, numbers, voxels

AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]


def slice_of(plane, place, turn=AXIAL, series="1.2.3", number=1, **more):
    """A slice at `place` mm along the normal of `turn`."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.9.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = pydicom.dataset.Dataset()
    one.file_meta = meta
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"1.2.9.{number}"
    one.SeriesInstanceUID, one.InstanceNumber = series, number
    one.Rows, one.Columns = plane.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 8 * plane.itemsize
    one.HighBit = one.BitsStored - 1
    one.PixelRepresentation = int(plane.dtype.kind == "i")
    one.ImageOrientationPatient, one.PixelSpacing = turn, [0.5, 0.25]
    normal = np.cross(turn[:3], turn[3:])
    one.ImagePositionPatient = [float(v) for v in place * normal + np.array([3, -4, 0.0])]
    one.PixelData = plane.tobytes()
    for name, value in more.items():
        setattr(one, name, value)
    return one


def write(folder, array, step=2.0, names=None, **more):
    folder.mkdir(exist_ok=True)
    names = names or [f"{z}.dcm" for z in range(len(array))]
    for z, (plane, name) in enumerate(zip(array, names, strict=True)):
        slice_of(plane, z * step, number=z + 1, **more).save_as(
            folder / name, enforce_file_format=True
        )
    return folder


@pytest.mark.parametrize("turn", [AXIAL, SAGITTAL])
@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_slices_are_ordered_by_place_not_by_name(tmp_path, turn, suffix):
    array = numbers(shape=(7, 12, 20))
    names = [f"im{i}{suffix}" for i in range(7)]
    random.Random(1).shuffle(names)
    folder = write(tmp_path / "d", array, names=names, turn=turn)
    assert np.array_equal(voxels(folder), array)
    convert(folder, tmp_path / "v.bricks")
    assert np.array_equal(voxels(tmp_path / "v.bricks"), array)


def test_rescale_is_applied(tmp_path):
    array = numbers("uint16", (4, 12, 20), high=4000)
    folder = write(tmp_path / "d", array, RescaleSlope=1, RescaleIntercept=-1024)
    with pytest.raises(DataError, match=r"int32 from -10\d\d to 29\d\d .*data: {range: \[-10"):
        open_volume(folder)
    fragment = open_volume(folder, part=Part(range=(-1024, 3000)))
    want = np.rint((array.astype(float)) / 4024 * 65_535)
    assert np.abs(content(fragment.volume) - want).max() <= 1
    assert fragment.window == (-1024, 3000)
    folder = write(tmp_path / "e", array, RescaleSlope=0.25, RescaleIntercept=-3)
    assert np.allclose(voxels(folder), array * 0.25 - 3)
    assert any("times 0.25 plus -3" in note for note in open_volume(folder).notes)


def test_monochrome1_is_inverted(tmp_path):
    array = numbers("uint16", (3, 12, 20), high=4095)
    folder = write(
        tmp_path / "d", array, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11
    )
    assert np.array_equal(voxels(folder), 4095 - array)


def test_what_is_no_one_series_is_refused(tmp_path):
    array = numbers(shape=(6, 12, 20))
    folder = write(tmp_path / "d", array)
    (folder / "3.dcm").unlink()
    with pytest.raises(DataError, match=r"between 2\.dcm and 4\.dcm slices are missing"):
        open_volume(folder)
    slice_of(array[3], 4.0, number=9).save_as(folder / "3.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"2\.dcm and 3\.dcm lie at the same place"):
        open_volume(folder)
    slice_of(array[3], 6.0, series="1.2.4").save_as(folder / "3.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"2 SeriesInstanceUIDs: 1\.2\.3 \(5 files\), 1\.2\.4 \(1"):
        open_volume(folder)
    slice_of(array[3, :-1], 6.0).save_as(folder / "3.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"\.dcm: expected \(1[12], 20"):
        open_volume(folder)


def test_compressed_and_damaged_slices_are_one_line(tmp_path):
    array = numbers(shape=(3, 12, 20))
    folder = write(tmp_path / "d", array)
    whole = (folder / "1.dcm").read_bytes()
    for cut in (50, 140, 300, len(whole) - 30):
        (folder / "1.dcm").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"1\.dcm: ") as error:
            open_volume(folder)
        assert "\n" not in str(error.value)
    one = slice_of(array[1], 2.0)
    one.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    one.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    one["PixelData"].is_undefined_length = True
    one.save_as(folder / "1.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"1\.dcm: voxels are compressed \(JPEG Lossless"):
        open_volume(folder)


def test_a_mixed_folder_is_said_to_be_one_whatever_its_files_are(tmp_path):
    """Compressed, or not to be read: what is odd about one file is not what is wrong."""
    array = numbers(shape=(3, 12, 20))
    folder = write(tmp_path / "d", array)
    odd = slice_of(array[0], 2.0, series="1.2.4")
    odd.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    odd.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    odd["PixelData"].is_undefined_length = True
    odd.save_as(folder / "0.dcm", enforce_file_format=True)
    (folder / "00.dcm").write_bytes((folder / "1.dcm").read_bytes()[:140])
    with pytest.raises(DataError, match=r"expected one series, received 2 .*1\.2\.4 \(1 file\)"):
        open_volume(folder)


def test_the_extra_is_named(tmp_path, monkeypatch):
    folder = write(tmp_path / "d", numbers(shape=(3, 12, 20)))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"pip install 'famulus\[formats\]'"):
        open_volume(folder)
