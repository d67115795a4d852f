"""Which reader reads what: by suffix, and of folders by what lies in them."""

from itertools import islice
from pathlib import Path

from famulus.config.errors import DataError
from famulus.volumes import nifti_volume, nrrd_volume, tiff_pages
from famulus.volumes.bricks import HEADER, SUFFIX
from famulus.volumes.dicom_series import DicomSeries, is_dicom
from famulus.volumes.nifti_volume import Nifti
from famulus.volumes.npy_volume import Npy
from famulus.volumes.nrrd_volume import Nrrd
from famulus.volumes.plane_files import header, is_tiff
from famulus.volumes.reader import Reader
from famulus.volumes.regular import regular
from famulus.volumes.slices import NUMBERED, Slices, numbered
from famulus.volumes.tiff_stack import TiffStack
from famulus.volumes.zarr_volume import MARKS, Zarr

FOLDERS = ("surface_volume", "layers")
EXPECTED = (
    "a folder of numbered slices or DICOM files, .tif, .npy, .nii, .nii.gz, .nrrd, .nhdr, .zarr or "
    f"{SUFFIX}"
)
LOOKED_AT = 64  # entries of a folder
SMALLEST = 64  # side of slices that are taken for a volume unasked


def reader_of(path: Path, channel: int | None = None, time: int | None = None) -> Reader:
    """The reader of a foreign volume. Raises DataError if it is none, or a damaged one."""
    if path.is_dir():
        for name in FOLDERS:
            if (path / name).is_dir():
                return _bare(Slices(path / name), channel, time)
        if _is_zarr(path):
            return Zarr(path, channel, time)
        if any(is_dicom(file) for file in path.iterdir()):
            return _bare(DicomSeries(path), channel, time)
        if numbered(path):
            return _bare(Slices(path), channel, time)
        raise DataError(
            f"{path}: expected slices 00.tif, 01.tif, ... in it, in surface_volume/ or in layers/, "
            "DICOM files or a Zarr; found none"
        )
    regular(path)
    name = path.name.lower()
    if name.endswith(tiff_pages.SUFFIXES):
        return TiffStack(path, channel, time)
    if name.endswith(".npy"):
        return _bare(Npy(path), channel, time)
    if name.endswith(nifti_volume.SUFFIXES):
        return Nifti(path, channel, time)
    if name.endswith(nrrd_volume.SUFFIXES):
        return Nrrd(path, channel, time)
    raise DataError(f"{path}: expected {EXPECTED}")


def _bare(reader: Reader, channel: int | None, time: int | None) -> Reader:
    """A kind without channels and times. Raises DataError if one is asked for."""
    for key, number in (("channel", channel), ("time", time)):
        if number:
            raise DataError(f"{reader.path}: data.{key}: a {reader.kind} has none: leave it out")
    return reader


def is_volume(path: Path) -> bool:
    """Whether a path is a volume and no set of pictures, by names and a few headers.

    Numbered PNG and JPEG slices count only if they are grey, of one size and at least 64 wide: a
    folder of photographs has numbers, too.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            suffixes = (
                *tiff_pages.SUFFIXES,
                ".npy",
                *nifti_volume.SUFFIXES,
                *nrrd_volume.SUFFIXES,
            )
            return path.name.lower().endswith(suffixes) and path.is_file()
        if path.suffix == SUFFIX or (path / HEADER).exists() or _is_zarr(path):
            return True
        if any((path / name).is_dir() for name in FOLDERS):
            return True
        entries = list(islice(path.iterdir(), LOOKED_AT))
        if any(entry.is_dir() for entry in entries):
            return False
        if any(is_dicom(entry) for entry in entries):
            return True
        slices = sorted(e for e in entries if NUMBERED.fullmatch(e.name) and e.name[0] != ".")
        prefixes = {NUMBERED.fullmatch(e.name)[1] for e in slices}  # type: ignore[index]
        if len(slices) < 2 or len(prefixes) > 1:
            return False
        if all(is_tiff(e) for e in slices):
            return True
        forms = {header(e) for e in (slices[0], slices[len(slices) // 2], slices[-1])}
        return len(forms) == 1 and min(next(iter(forms))[0]) >= SMALLEST
    except (OSError, DataError):
        return False


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in MARKS)
