"""A folder of DICOM slices of one series as a volume. Extra `formats`.

Slices are ordered by their position along the normal of the image plane, never by name; rescale
slope and intercept are applied.

Shapes: Z Y X. Units: those of the rescaled values (HU for CT); spacing in mm.
Source: DICOM PS3.3 C.7.6.2 (image plane), C.11.1 (modality LUT), PS3.5 A (transfer syntaxes).
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.volumes import memory
from famulus.volumes.bricks import Piece
from famulus.volumes.reader import Reader
from famulus.volumes.regular import first_line, regular
from famulus.volumes.values import rescaled

MARK = b"DICM"  # at byte 128
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN)
UNEVEN = 0.01  # of the usual distance between slices
GAP = 1.5  # of it: a slice is missing


@dataclass(frozen=True)
class Slice:
    """What is known of a slice before its voxels."""

    file: Path
    series: str
    form: tuple[Any, ...]  # rows, columns, bits, signed, photometric: alike for all
    stored: np.dtype
    position: float | None  # mm along the normal
    number: int | None
    slope: float
    intercept: float
    spacing: tuple[float, ...] | None


class DicomSeries(Reader):
    """Raises DataError naming files that are missing, twice there, or of another series."""

    kind, axes = "DICOM series", "slices along the normal, rows, columns"

    def __init__(self, folder: Path) -> None:
        self.path, self._notes = folder, list[str]()
        files = dicom_files(folder)
        if not files:
            raise DataError(f"{folder}: expected DICOM files, received none")
        # first of all: what is odd about one of a mixed folder's files is not what is wrong with it
        _one_series(filter(None, map(_series, files)), folder)
        slices = [_header(file) for file in files]
        _one_series((s.series for s in slices), folder)
        _one_form(slices)
        self.slices, gap = _ordered(slices, folder, self._notes)
        first = self.slices[0]
        self.shape = (len(slices), first.form[0], first.form[1])
        self._inverted = first.form[4] == "MONOCHROME1"
        if self._inverted:
            self._notes.append(f"{folder.name}: MONOCHROME1: inverted, so that more is brighter")
        whole = all(s.slope == 1 and s.intercept == int(s.intercept) for s in slices)
        self.dtype = np.dtype(np.int32 if whole else np.float32)
        if whole and not any(s.intercept for s in slices):
            self.dtype = first.stored.newbyteorder("=")
        else:
            pairs = sorted({(s.slope, s.intercept) for s in slices})
            text = ", ".join(f"times {a:g} plus {b:g}" for a, b in pairs[:2])
            more = f" and {len(pairs) - 2} others" if len(pairs) > 2 else ""
            self._notes.append(f"{folder.name}: rescaled: {text}{more}")
        if first.spacing and gap:
            self.spacing = (gap, *first.spacing)  # type: ignore[assignment]

    @property
    def notes(self) -> list[str]:
        return self._notes

    def pieces(self) -> Iterator[Piece]:
        for z, one in enumerate(self.slices):
            plane = _voxels(one)
            if self._inverted:
                plane = plane.dtype.type((1 << one.form[3]) - 1) - plane
            if self.dtype.kind == "f":
                plane = rescaled(plane, one.slope, one.intercept)
            elif one.intercept:
                plane = plane.astype(np.int32) + np.int32(one.intercept)
            yield Piece((z, 0, 0), plane.astype(self.dtype, copy=False)[None])


def dicom_files(folder: Path) -> list[Path]:
    """Files with the mark of DICOM, and those that are called `.dcm`."""
    return [file for file in sorted(folder.iterdir()) if is_dicom(file)]


def is_dicom(file: Path) -> bool:
    if file.name.startswith(".") or file.name == "DICOMDIR" or not file.is_file():
        return False
    if file.suffix.lower() in (".dcm", ".dicom"):
        return True
    if file.suffix and not file.suffix[1:].isdigit():  # names are often UIDs
        return False
    try:
        with open(file, "rb") as opened:
            return opened.read(132)[128:] == MARK
    except OSError:
        return False


def _header(file: Path) -> Slice:
    pydicom = needed("pydicom", "formats", f"{file}: reading DICOM")
    try:
        # pydicom warns of values that no standard allows; what counts is checked below
        with warnings.catch_warnings(), open(regular(file), "rb") as opened:
            warnings.simplefilter("ignore")
            if opened.read(132)[128:] != MARK:
                raise DataError(f"{file}: expected DICOM with its mark (DICM), received none")
            meta = pydicom.filereader.read_file_meta_info(file)
            syntax = str(meta.get("TransferSyntaxUID", ""))
            if syntax not in UNCOMPRESSED:
                name = getattr(meta.get("TransferSyntaxUID"), "name", "none")
                raise DataError(
                    f"{file}: voxels are compressed ({name}): write them uncompressed first "
                    "(dcmdjpeg, gdcmconv --raw)"
                )
            header = pydicom.dcmread(file, stop_before_pixels=True)
            return _slice(header, file, syntax)
    except DataError:
        raise
    # pydicom raises many kinds on a damaged file
    except Exception as error:
        raise DataError(f"{file}: can't be read as DICOM ({first_line(error)})") from error


def _slice(header: Any, file: Path, syntax: str) -> Slice:
    frames, samples = int(header.get("NumberOfFrames") or 1), int(header.SamplesPerPixel)
    if frames > 1 or samples > 1:
        raise DataError(f"{file}: expected one grey frame, received {frames} of {samples} samples")
    bits, signed = int(header.BitsAllocated), bool(header.PixelRepresentation)
    photometric = str(header.PhotometricInterpretation)
    if bits not in (8, 16, 32) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise DataError(f"{file}: expected grey of 8, 16 or 32 bits, received {bits} {photometric}")
    if signed and photometric == "MONOCHROME1":
        raise DataError(f"{file}: MONOCHROME1 of signed numbers has no meaning: write it anew")
    rows, columns = int(header.Rows), int(header.Columns)
    memory.one_part(file, rows * columns * bits // 8, "a slice", "crop it")
    order = ">" if syntax == BIG_ENDIAN else "<"
    turn, place = header.get("ImageOrientationPatient"), header.get("ImagePositionPatient")
    position = orientation = None
    if turn and place and len(turn) == 6 and len(place) == 3:
        orientation = tuple(round(float(v), 3) for v in turn)
        normal = np.cross([float(v) for v in turn[:3]], [float(v) for v in turn[3:]])
        position = float(normal @ np.array([float(v) for v in place]))
    spacing = header.get("PixelSpacing")
    number = header.get("InstanceNumber")
    stored = int(header.get("BitsStored") or bits)
    return Slice(
        file,
        str(header.get("SeriesInstanceUID", "none")),
        (rows, columns, bits, stored, photometric, signed, orientation),
        np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}"),
        position,
        None if number is None else int(number),
        float(header.get("RescaleSlope") or 1),
        float(header.get("RescaleIntercept") or 0),
        tuple(float(v) for v in spacing) if spacing else None,
    )


def _one_series(series: Iterable[str], folder: Path) -> None:
    counts: dict[str, int] = {}
    for uid in series:
        counts[uid] = counts.get(uid, 0) + 1
    if len(counts) > 1:
        names = ", ".join(f"{uid} ({n} file{'s' * (n > 1)})" for uid, n in list(counts.items())[:4])
        raise DataError(
            f"{folder}: expected one series, received {len(counts)} SeriesInstanceUIDs: {names}"
            f"{', ...' if len(counts) > 4 else ''}: put each into a folder of its own"
        )


def _series(file: Path) -> str:
    """The series that a file says it is of; "" if none can be read: `_header` says why."""
    pydicom = needed("pydicom", "formats", f"{file}: reading DICOM")
    try:
        with warnings.catch_warnings(), open(regular(file), "rb") as opened:
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(
                opened, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"]
            )
            return str(header.get("SeriesInstanceUID", ""))
    # pydicom raises many kinds on a damaged file
    except Exception:
        return ""


def _one_form(slices: list[Slice]) -> None:
    first = slices[0]
    for other in slices[1:]:
        if other.form != first.form:
            raise DataError(
                f"{other.file}: expected {first.form} (rows, columns, bits, stored, photometric, "
                f"signed, orientation) as {first.file.name}, received {other.form}"
            )


def _ordered(
    slices: list[Slice], folder: Path, notes: list[str]
) -> tuple[list[Slice], float | None]:
    """The slices from the lowest position to the highest, and their usual distance in mm."""
    if any(one.position is None for one in slices):
        if any(one.number is None for one in slices):
            raise DataError(f"{folder}: slices have neither positions nor numbers: no order")
        notes.append(f"{folder.name}: no ImagePositionPatient: ordered by InstanceNumber")
    by_place = all(one.position is not None for one in slices)
    places = {one.file: float(one.position if by_place else one.number) for one in slices}  # type: ignore[arg-type]
    ordered = sorted(slices, key=lambda one: places[one.file])
    steps = [places[b.file] - places[a.file] for a, b in pairwise(ordered)]
    if not steps:
        return ordered, None
    usual = float(np.median(steps))
    for (a, b), step in zip(pairwise(ordered), steps, strict=True):
        between = f"{a.file.name} and {b.file.name}"
        if step <= 1e-6:
            raise DataError(f"{folder}: {between} lie at the same place: leave one out")
        if step > GAP * usual:
            raise DataError(
                f"{folder}: between {between} slices are missing: they lie {step:g} apart, "
                f"the others {usual:g}"
            )
    if by_place and max(abs(step - usual) for step in steps) > UNEVEN * usual:
        notes.append(
            f"{folder.name}: slices lie {min(steps):g} to {max(steps):g} mm apart: taken as even"
        )
    return ordered, usual if by_place else None


def _voxels(one: Slice) -> np.ndarray:
    """A slice as it is stored. Raises DataError naming its file."""
    pydicom = needed("pydicom", "formats", f"{one.file}: reading DICOM")
    rows, columns, bits, stored, *_ = one.form
    size = rows * columns * bits // 8
    # overlays and private elements are read with the slice
    memory.one_part(one.file, one.file.stat().st_size, "a file", "leave out what is no slice")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = pydicom.dcmread(one.file).PixelData
    except Exception as error:
        raise DataError(f"{one.file}: can't be read as DICOM ({first_line(error)})") from error
    if len(raw) - size not in (0, 1):  # padded to an even length
        raise DataError(f"{one.file}: truncated: expected {size} bytes, received {len(raw)}")
    plane = np.frombuffer(raw, one.stored, rows * columns).reshape(rows, columns)
    if plane.dtype.kind == "u" and stored < bits and plane.max() >> stored:
        raise DataError(f"{one.file}: bits above the {stored} that are stored: an overlay in them?")
    return plane.astype(one.stored.newbyteorder("="), copy=False)
