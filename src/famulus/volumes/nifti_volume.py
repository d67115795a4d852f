"""A NIfTI (1 or 2, gzipped or not) as a volume of voxels, streamed from front to back.

The first index of the file runs fastest, so its axes x, y, z, t read backwards are T Z Y X. The
scale of the header is applied; affines are for `volumes.nifti`, this knows voxels.

Shapes: Z Y X. Source: NIfTI-1.1 and NIfTI-2 standards, `scl_slope`, `vox_offset`.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import nibabel
import numpy as np

from famulus.config.errors import DataError
from famulus.volumes import packed
from famulus.volumes.axes import choose
from famulus.volumes.bricks import Piece
from famulus.volumes.reader import Reader
from famulus.volumes.regular import first_line, regular
from famulus.volumes.values import rescaled

SUFFIXES = (".nii", ".nii.gz")
HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
FARTHEST = 1 << 30  # bytes of extensions before the voxels


class Nifti(Reader):
    """Raises DataError for a damaged header; `data.time` names one volume of a series."""

    kind = "NIfTI"

    def __init__(self, path: Path, channel: int | None = None, time: int | None = None) -> None:
        self.path = path
        with _opened(path) as file:
            header = _header(file, path)
        sizes = tuple(int(n) for n in header.get_data_shape())
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes = sizes[:-1]
        if not 3 <= len(sizes) <= 4 or min(sizes) < 1:
            raise DataError(f"{path}: expected 3 or 4 axes (x, y, z, t), received {sizes}")
        names = "ZYX" if len(sizes) == 3 else "TZYX"
        choice = choose(path, names, sizes[::-1], channel, time)
        self.axes = "".join("xyzt"[: len(sizes)]) + ", the first fastest"
        self.shape = sizes[2::-1]  # type: ignore[assignment]
        self._stored = header.get_data_dtype()
        slope, inter = header.get_slope_inter()
        self._scale = None if slope in (None, 1.0) and not inter else (slope or 1.0, inter or 0.0)
        plain = self._scale is None
        self.dtype = self._stored.newbyteorder("=") if plain else np.dtype(np.float32)
        if self._stored.kind not in "iuf":
            raise DataError(f"{path}: expected numbers, received {self._stored}")
        itemsize = self._stored.itemsize
        self._skip = int(header["vox_offset"]) or int(header["sizeof_hdr"]) + 4
        if not 0 < self._skip < FARTHEST:
            raise DataError(f"{path}: its voxels begin at byte {self._skip}: damaged header")
        # times lie one behind the other
        self._skip += choice.fixed.get(0, 0) * int(np.prod(sizes[:3], dtype=object)) * itemsize
        self.spacing = tuple(map(float, header.get_zooms()[2::-1]))  # type: ignore[assignment]

    @property
    def notes(self) -> list[str]:
        if self._scale is None:
            return []
        slope, inter = self._scale
        stored = self._stored.name
        return [f"{self.path.name}: {stored} times {slope:g} plus {inter:g}, as its header says"]

    def check_length(self) -> None:
        size = int(np.prod(self.shape, dtype=object)) * self._stored.itemsize
        encoding = "gzip" if self.path.name.lower().endswith(".gz") else "raw"
        packed.must_hold(self.path, self._skip + size, encoding)

    def pieces(self) -> Iterator[Piece]:
        self.check_length()
        with _opened(self.path) as file:
            packed.skip(file, self._skip, self.path)
            for start, part in packed.planes(file, self.path, self.shape, self._stored):
                if self._scale is not None:
                    part = rescaled(part, *self._scale)
                yield Piece(start, part.astype(self.dtype, copy=False))


def _opened(path: Path) -> IO[Any]:
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    return opener(regular(path), "rb")


def _header(file: IO[Any], path: Path) -> Any:
    raw = packed.read(file, 348, path, "its header")
    size = next((n for n in HEADERS for o in ("little", "big") if raw[:4] == _int(n, o)), None)
    if size is None:
        raise DataError(f"{path}: expected a NIfTI header of 348 or 540 bytes")
    raw += packed.read(file, size - 348, path, "its header")
    try:
        # unchecked: nibabel would print what it mends
        header = HEADERS[size](raw, check=False)
        magic = bytes(header["magic"].tobytes())[:2]
        header.get_data_dtype(), header.get_slope_inter(), int(header["vox_offset"])
    # a damaged header raises many kinds
    except Exception as error:
        raise DataError(f"{path}: not a readable NIfTI header ({first_line(error)})") from error
    if magic != b"n+":
        raise DataError(f"{path}: expected header and voxels in one file (.nii)")
    return header


def _int(number: int, order: Literal["little", "big"]) -> bytes:
    return number.to_bytes(4, order)
