"""An NRRD (`.nrrd`, or `.nhdr` with its data file) as a volume, streamed. Extra `formats`.

The first size is of the fastest axis, so the sizes read backwards are Z Y X. An axis whose kind is
no direction of space is channels, or times.

Shapes: Z Y X. Source: teem.sourceforge.net/nrrd/format.html.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.volumes import packed
from famulus.volumes.axes import choose
from famulus.volumes.bricks import Piece
from famulus.volumes.reader import Reader
from famulus.volumes.regular import first_line, regular

SUFFIXES = (".nrrd", ".nhdr")
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
SPACE = ("domain", "space")


class Nrrd(Reader):
    """Raises DataError for a damaged header, or data in a way that is not read."""

    kind = "NRRD"

    def __init__(self, path: Path, channel: int | None = None, time: int | None = None) -> None:
        self.path = path
        nrrd = needed("nrrd", "formats", f"{path}: reading NRRD")
        try:
            # sizes are floats to pynrrd first; what is none of them is refused below
            with open(regular(path), "rb") as file, np.errstate(invalid="ignore"):
                header: dict[str, Any] = dict(nrrd.read_header(file))
                self._begin = file.tell()
            sizes = tuple(int(n) for n in header["sizes"])
            code = next(c for c, names in TYPES.items() if str(header["type"]) in names)
            self._encoding = ENCODINGS[str(header["encoding"]).lower()]
            skips = [
                int(header.get(f"{k} skip", header.get(f"{k}skip", 0))) for k in ("line", "byte")
            ]
        except DataError:
            raise
        # pynrrd raises many kinds on a damaged header
        except Exception as error:
            raise DataError(
                f"{path}: not a readable NRRD header ({first_line(error) or 'type or encoding'}): "
                f"expected numbers in {', '.join(sorted(set(ENCODINGS.values())))}"
            ) from error
        little = header.get("endian", "little") == "little"
        self._stored = np.dtype(f"{'<' if little else '>'}{code}")
        self.dtype = self._stored.newbyteorder("=")
        names = _names(header, len(sizes))
        choice = choose(path, names[::-1], sizes[::-1], channel, time)
        deep, tall, wide = choice.order
        if deep is None or len(sizes) > 4 or min(sizes) < 1:
            raise DataError(f"{path}: expected sizes of x, y, z and one more, received {sizes}")
        # fastest last, as numpy counts
        self._sizes, self._choice = sizes[::-1], choice
        self.axes = f"{names.lower()}, the first fastest"
        self.shape = self._sizes[deep], self._sizes[tall], self._sizes[wide]
        self._lines, self._bytes = skips
        self._data = self._detached(header)
        self.spacing = _spacing(header, names)

    def _detached(self, header: dict[str, Any]) -> Path | None:
        name = header.get("data file", header.get("datafile"))
        if name is None:
            return None
        if not isinstance(name, str) or name.upper().startswith("LIST") or "%" in name:
            raise DataError(f"{self.path}: expected one data file, received several: join them")
        return regular(self.path.parent / name)

    @property
    def _size(self) -> int:
        return int(np.prod(self._sizes, dtype=object)) * self._stored.itemsize

    def check_length(self) -> None:
        packed.must_hold(self._data or self.path, self._size, self._encoding)

    def pieces(self) -> Iterator[Piece]:
        self.check_length()
        path = self._data or self.path
        with open(path, "rb") as raw:
            if self._data is None:
                raw.seek(self._begin)
            for _ in range(self._lines):
                raw.readline(1 << 20)
            file: IO[Any] = raw
            if self._encoding != "raw":
                file = packed.OPENERS[self._encoding](raw, "rb")  # type: ignore[operator]
            elif self._bytes == -1:  # the data are the end of the file
                raw.seek(max(0, os.fstat(raw.fileno()).st_size - self._size))
            packed.skip(file, self._bytes, path)
            yield from self._planes(file, path)

    def _planes(self, file: IO[Any], path: Path) -> Iterator[Piece]:
        """The chosen part of each plane; what is before a chosen time is passed over."""
        if len(self._sizes) == 3:
            for start, part in packed.planes(file, path, self.shape, self._stored):
                yield Piece(start, part.astype(self.dtype, copy=False))
            return
        ((axis, number),) = self._choice.fixed.items()
        inner = int(np.prod(self._sizes[axis + 1 :], dtype=object)) * self._stored.itemsize
        if axis == 0:
            packed.skip(file, number * inner, path)
            for start, part in packed.planes(file, path, self.shape, self._stored):
                yield Piece(start, part.astype(self.dtype, copy=False))
            return
        # channels beside each voxel (or between planes): rows of all of them, then one
        deep, *rest = self._sizes
        if self._choice.order[0] != 0 or axis != 3:
            raise DataError(f"{self.path}: expected channels as the first axis or the last")
        tall, wide, several = rest
        for (z, y, _), part in packed.planes(
            file, path, (deep, tall, wide * several), self._stored
        ):
            rows = part.reshape(1, -1, wide, several)[..., number]
            yield Piece((z, y, 0), rows.astype(self.dtype))


def _names(header: dict[str, Any], count: int) -> str:
    """A letter for each axis, fastest first: x y z for directions of space, T or C for others."""
    kinds = [str(kind).lower() for kind in header.get("kinds") or []]
    if len(kinds) != count or all(kind in ("none", "???") for kind in kinds):
        return "XYZ"[:count] + "T" * (count - 3)
    space, names = iter("XYZ"), ""
    for kind in kinds:
        if kind in SPACE or (kind in ("none", "???") and count == 3):
            names += next(space, "?")
        else:
            names += "T" if kind == "time" else "C"
    return names


def _spacing(header: dict[str, Any], names: str) -> tuple[float, float, float] | None:
    try:
        if header.get("space directions") is not None:
            vectors = [np.asarray(v, float) for v in header["space directions"]]
            lengths = [float(np.linalg.norm(v)) for v in vectors]
        else:
            lengths = [float(v) for v in header["spacings"]]
        spacing = tuple(lengths[names.index(axis)] for axis in "ZYX")
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return spacing if np.isfinite(spacing).all() else None  # type: ignore[return-value]
