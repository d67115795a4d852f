"""A volume as a folder of numbered slices, one picture each: TIFF, PNG or JPEG.

Every slice's header is read when a reader is made, so that a missing, truncated or wrongly sized
one is named at once.

Shapes: Z Y X; axis 0 of a picture is y (rows), axis 1 is x.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes.bricks import Piece
from famulus.volumes.plane_files import bands_of, header
from famulus.volumes.reader import Reader

NUMBERED = re.compile(r"(.*?)(\d{1,9})\.(?:tiff?|jpe?g|png)", re.IGNORECASE)


class Slices(Reader):
    """A folder of numbered slices: TIFF, or grey JPEG and PNG as some segments have them."""

    def __init__(self, folder: Path) -> None:
        self.path, self.kind = folder, "folder of slices"
        self.files = _in_order(folder)
        self.axes = "YX of each slice"
        first = header(self.files[0])
        for file in self.files[1:]:
            other = header(file)
            if other != first:
                raise DataError(
                    f"{file}: expected {_shown(first)} as {self.files[0].name}, "
                    f"received {_shown(other)}"
                )
        shape, self.dtype, self._inverted = first
        self.shape = (len(self.files), *shape)

    @property
    def notes(self) -> list[str]:
        if not self._inverted:
            return []
        return [f"{self.path.name}: WhiteIsZero: inverted, so that more is brighter"]

    def pieces(self) -> Iterator[Piece]:
        for z, file in enumerate(self.files):
            for y, band in bands_of(file):
                yield Piece((z, y, 0), band[None])


def numbered(folder: Path) -> dict[str, list[Path]]:
    """The numbered slices below a folder by what stands before the number; none elsewhere."""
    series: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        # `._00.tif` is what macOS leaves beside 00.tif
        if (match := NUMBERED.fullmatch(file.name)) and not file.name.startswith("."):
            series.setdefault(match[1], []).append(file)
    return series


def _in_order(folder: Path) -> list[Path]:
    """The slices by number. Raises DataError for one missing or twice there, or several series."""
    series = numbered(folder)
    if not series:
        raise DataError(
            f"{folder}: expected slices 00.tif, 01.tif, ... (or .jpg, .png), received none"
        )
    if len(series) > 1:
        names = ", ".join(f"{files[0].name} ({len(files)})" for files in list(series.values())[:4])
        raise DataError(
            f"{folder}: expected slices of one name and a number, received {len(series)} series: "
            f"{names}: put each into a folder of its own"
        )
    ((prefix, files),) = series.items()
    by_number: dict[int, Path] = {}
    for file in files:
        digits = NUMBERED.fullmatch(file.name)[2]  # type: ignore[index]
        at = int(digits)
        if at in by_number:
            raise DataError(
                f"{folder}: slice {at} is there twice: {by_number[at].name}, {file.name}"
            )
        by_number[at] = file
    first, last = min(by_number), max(by_number)
    if missing := last - first + 1 - len(by_number):
        at = next(i for i in range(first, last) if i not in by_number)
        digits = str(at).zfill(len(NUMBERED.fullmatch(by_number[first].name)[2]))  # type: ignore[index]
        name = f"{prefix}{digits}{by_number[first].suffix}"
        raise DataError(f"{folder}: slice {name} is missing ({missing} in all)")
    # By number and not by name: 10.tif stands behind 9.tif.
    return [by_number[i] for i in sorted(by_number)]


def _shown(form: tuple[tuple[int, int], np.dtype, bool]) -> str:
    shape, dtype, inverted = form
    return f"{shape} {dtype}{' WhiteIsZero' * inverted}"
