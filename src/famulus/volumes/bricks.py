"""A volume on disk as bricks of one memory-mapped file, so that a random cube touches few pages.

A folder `NAME.bricks` holds `voxels.raw` (little-endian bricks one behind the other, padded at the
far edges), `mask.npy`, `labels.npy` where there are any, and `bricks.json`, which is written last:
without it the folder is no volume. Depth is the innermost axis and a brick holds up to 128 planes:
what a cube needs of a surface volume then lies in long runs, not in rows of a hundred bytes.

Shapes: Z Y X voxels; a brick is (bz, by, bx); the file is (Zb, Yb, Xb, by, bx, bz).
"""

import json
import math
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes.regular import regular

Sizes = tuple[int, int, int]
VERSION = 2
SUFFIX = ".bricks"
HEADER, VOXELS = "bricks.json", "voxels.raw"
DTYPES = ("uint8", "uint16", "float32")
MAX_BYTES = 1 << 44
MAX_HEADER = 32 << 20  # bytes; as Python's objects some twenty times as many


class Piece(NamedTuple):
    """Part of a volume: voxels ZYX, and where they begin."""

    start: Sizes
    voxels: np.ndarray


class ArrayVolume:
    """A volume in one array, in memory or mapped: `array_ZYX`."""

    def __init__(self, array_ZYX: np.ndarray, fingerprint: str) -> None:
        if array_ZYX.ndim != 3:
            raise DataError(f"expected a volume of 3 axes (z, y, x), received {array_ZYX.shape}")
        self.array, self.fingerprint = array_ZYX, fingerprint
        self.shape: Sizes = array_ZYX.shape
        self.dtype = array_ZYX.dtype

    def read(self, start: Sizes, out_ZYX: np.ndarray) -> None:
        """Fills `out_ZYX` with the voxels from `start` on."""
        z, y, x = inside(start, out_ZYX.shape, self.shape)
        out_ZYX[:] = self.array[z, y, x]


class Bricks:
    """A volume in a bricked file, read-only; threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.header = _header(self.folder)
        self.shape: Sizes = tuple(self.header["shape"])
        window = self.header.get("window")
        # what the source's values at 0 and at full range were, where they were declared
        self.window: tuple[float, float] | None = tuple(window) if window else None
        self.notes: list[str] = list(self.header.get("notes", []))
        self.brick: Sizes = tuple(self.header["brick"])
        self.dtype = np.dtype(self.header["dtype"]).newbyteorder("<")
        grid = grid_of(self.shape, self.brick)
        if len(self.header["crc32"]) != math.prod(grid):
            raise DataError(f"{self.folder}: {HEADER} lacks checksums of bricks: convert it again")
        want = math.prod(grid) * math.prod(self.brick) * self.dtype.itemsize
        path = self.folder / VOXELS
        have = regular(path).stat().st_size if path.exists() else 0
        if have != want:
            raise DataError(f"{path}: expected {want} bytes, received {have}: convert it again")
        bz, by, bx = self.brick
        self._voxels = np.memmap(path, self.dtype, "r", shape=(*grid, by, bx, bz))
        # The header holds every brick's checksum, so no voxel need be read for a fingerprint.
        self.fingerprint: str = f"{zlib.crc32(json.dumps(self.header).encode()):08x}"

    def read(self, start: Sizes, out_ZYX: np.ndarray) -> None:
        """Fills `out_ZYX` with the voxels from `start` on; one copy for each brick met.

        Fastest into an array whose depth is innermost too, see `empty_cubes`.
        """
        inside(start, out_ZYX.shape, self.shape)
        # As a plain array: each slice of a memmap costs a Python object with a file behind it.
        voxels, out_YXZ = self._voxels.view(np.ndarray), out_ZYX.transpose(1, 2, 0)
        for there, (z, y, x) in bricks_met(start, out_ZYX.shape, self.brick):
            out_YXZ[y, x, z] = voxels[there]

    def verify(self) -> None:
        """Raises DataError naming the first brick whose checksum differs from the header's."""
        for _ in self.verifying():
            pass

    def verifying(self) -> Iterator[int]:
        """As `verify`, brick by brick: yields how many are sound so far."""
        places = np.ndindex(*grid_of(self.shape, self.brick))
        for done, (place, crc) in enumerate(zip(places, self.header["crc32"], strict=True), 1):
            if zlib.crc32(np.ascontiguousarray(self._voxels[place]).data) != crc:
                raise DataError(
                    f"{self.folder}: brick {place} is damaged (its checksum differs): convert again"
                )
            yield done

    def extra(self, name: str) -> np.ndarray | None:
        """`mask` (uint8 YX) or `labels` (uint8 YX or ZYX) as it was converted, if there was one.

        Raises DataError if the file is missing, another one, or was put there afterwards.
        """
        path, crc = self.folder / f"{name}.npy", self.header["extras"].get(name)
        if crc is None:
            if path.exists():
                raise DataError(
                    f"{path}: not converted with this volume: convert again with --{name}, or name "
                    f"it as data.{name} and take it out of the folder"
                )
            return None
        if not path.exists():
            raise DataError(f"{path}: missing, and {HEADER} has its checksum: convert again")
        try:
            # Mapped first: a header may claim any size, the file holds what it holds.
            array = np.array(np.load(regular(path), mmap_mode="r", allow_pickle=False))
        except DataError:
            raise
        except Exception:  # a damaged header raises nearly anything
            array = None
        if array is None or zlib.crc32(np.ascontiguousarray(array).data) != crc:
            raise DataError(f"{path}: damaged or replaced (its checksum differs): convert again")
        return array


def empty_cubes(count: int, size: Sizes, dtype: np.dtype) -> np.ndarray:
    """Uninitialised cubes BDHW whose depth is innermost in memory, as it is in the bricks."""
    deep, tall, wide = size
    return np.empty((count, tall, wide, deep), dtype).transpose(0, 3, 1, 2)


def deep_last(volume_ZYX: np.ndarray) -> np.ndarray:
    """The same volume, laid out with its depth innermost."""
    return np.ascontiguousarray(volume_ZYX.transpose(1, 2, 0)).transpose(2, 0, 1)


def inside(start: Sizes, size: Sizes, shape: Sizes) -> tuple[slice, slice, slice]:
    """Slices of a cube. Raises IndexError if it leaves the volume: NumPy would wrap silently."""
    for a, n, whole in zip(start, size, shape, strict=True):
        if a < 0 or a + n > whole:
            raise IndexError(f"cube at {tuple(start)} of {tuple(size)} leaves the volume {shape}")
    return tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))  # type: ignore[return-value]


def grid_of(shape: Sizes, brick: Sizes) -> Sizes:
    """How many bricks along each axis."""
    return tuple(-(-n // b) for n, b in zip(shape, brick, strict=True))  # type: ignore[return-value]


def bricks_met(start: Sizes, size: Sizes, brick: Sizes) -> Iterator[tuple[tuple, tuple]]:
    """(index of a part of the file, slices of the cube ZYX) of each brick that a cube meets."""
    axes = [_met(*a) for a in zip(start, size, brick, strict=True)]
    for (i, z, oz), (j, y, oy), (k, x, ox) in product(*axes):
        yield (i, j, k, y, x, z), (oz, oy, ox)


def _met(start: int, size: int, brick: int) -> list[tuple[int, slice, slice]]:
    """(brick, part of the brick, part of the cube) along one axis."""
    met = []
    for i in range(start // brick, (start + size - 1) // brick + 1):
        low, high = max(start, i * brick), min(start + size, (i + 1) * brick)
        met.append((i, slice(low - i * brick, high - i * brick), slice(low - start, high - start)))
    return met


def _header(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    if not path.exists():
        raise DataError(f"{folder}: expected {HEADER}, which is written last: convert it again")
    if regular(path).stat().st_size > MAX_HEADER:
        raise DataError(f"{path}: over the limit of {MAX_HEADER} bytes")
    try:
        header = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
        good = _is_header(header)
    # RecursionError: nested more deeply than any header
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise DataError(f"{path}: expected a header of version {VERSION}, received something else")
    if math.prod(header["shape"]) * 4 > MAX_BYTES:
        raise DataError(f"{path}: a volume of {header['shape']} is over the limit")
    return header


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _is_header(header: Any) -> bool:
    """Whether every field has the type that it must have; True is an int, too."""
    sizes = [*header["shape"], *header["brick"]]
    texts = header.get("notes", [])
    window = header.get("window")
    return (
        len(header["shape"]) == 3
        and len(sizes) == 6
        and all(type(n) is int and 0 < n < 1 << 31 for n in sizes)
        and header["version"] == VERSION
        and header["dtype"] in DTYPES
        and isinstance(header["crc32"], list)
        and all(type(n) is int for n in header["crc32"])
        and isinstance(header["extras"], dict)
        and isinstance(texts, list)
        and all(isinstance(text, str) for text in texts)
        and (window is None or _is_window(window))
    )


def _is_window(window: Any) -> bool:
    return (
        isinstance(window, list)
        and len(window) == 2
        and all(type(n) in (int, float) and math.isfinite(n) for n in window)
        and window[0] < window[1]
    )
