"""Volumes in foreign files, plane by plane: numbered TIFF slices, TIFF pages, `.npy`, OME-Zarr.

Every slice's header is read when a reader is made, so that a missing, truncated or wrongly sized
one is named at once.

Shapes: Z Y X; axis 0 of a picture is y (rows), axis 1 is x.
"""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from famulus.config.errors import DataError
from famulus.volumes.bricks import SUFFIX, ArrayVolume, Piece, Sizes, empty_cubes, inside
from famulus.volumes.plane_files import TIFF, as_tiff, header, known, read_plane

SLICES = ("surface_volume", "layers")
NUMBERED = re.compile(r"(\d+)\.(?:tiff?|jpe?g|png)", re.IGNORECASE)
PIECE = 64 << 20  # bytes of a volume of chunks that are read at once
MAX_RAM = 8 << 30  # bytes of a volume that is read into memory without conversion


class Reader(ABC):
    """A source whose shape and type are known, and which gives its planes one by one."""

    path: Path
    shape: Sizes
    dtype: np.dtype

    @abstractmethod
    def planes(self) -> Iterator[np.ndarray]:
        """Planes YX from the first to the last."""

    def pieces(self) -> "Iterator[np.ndarray | Piece]":
        """All voxels once, in pieces that fit into memory whatever the size: planes, or others."""
        return self.planes()

    def windows(self) -> "ArrayVolume | Windows":
        """The volume without reading it: for blocks of what no memory can hold."""
        raise DataError(
            f"{self.path}: data.blocks reads .npy, OME-Zarr and {SUFFIX}: convert it first "
            f"(famulus data convert {self.path} NAME{SUFFIX})"
        )

    def load(self) -> ArrayVolume:
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        if size > MAX_RAM:
            raise DataError(
                f"{self.path}: {size / 1e9:.1f} GB: write it as bricks first "
                f"(famulus data convert {self.path} NAME{SUFFIX})"
            )
        array, digest = empty_cubes(1, self.shape, self.dtype)[0], hashlib.sha256()
        for z, plane in enumerate(self.planes()):
            if self.dtype.kind == "f" and not np.isfinite(plane).all():
                raise DataError(f"{self.path}: plane {z} holds NaN or infinite voxels")
            array[z] = plane
            digest.update(np.ascontiguousarray(plane).tobytes())
        return ArrayVolume(array, digest.hexdigest()[:16])


class Slices(Reader):
    """A folder of numbered slices: TIFF, or 8-bit JPEG and PNG as some segments have them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        numbered: dict[int, Path] = {}
        for file in folder.iterdir():
            if match := NUMBERED.fullmatch(file.name):
                at = int(match[1])
                if at in numbered:
                    raise DataError(
                        f"{folder}: slice {at} is there twice: {numbered[at].name}, {file.name}"
                    )
                numbered[at] = file
        if not numbered:
            raise DataError(
                f"{folder}: expected slices 00.tif, 01.tif, ... (or .jpg, .png), received none"
            )
        first = min(numbered)
        missing = sorted(set(range(first, max(numbered) + 1)) - set(numbered))
        if missing:
            ending = numbered[first].suffix
            raise DataError(
                f"{folder}: slice {missing[0]:02d}{ending} is missing ({len(missing)} in all)"
            )
        # By number and not by name: 10.tif stands behind 9.tif.
        self.files = [numbered[i] for i in sorted(numbered)]
        shape, self.dtype = header(self.files[0])
        for file in self.files[1:]:
            other, dtype = header(file)
            if other != shape or dtype != self.dtype:
                raise DataError(
                    f"{file}: expected {shape} {self.dtype} as {self.files[0].name}, "
                    f"received {other} {dtype}"
                )
        self.shape = (len(self.files), *shape)

    def planes(self) -> Iterator[np.ndarray]:
        for file in self.files:
            if file.suffix.lower() in TIFF:
                yield as_tiff(partial(tifffile.imread, file), file)
            else:
                yield read_plane(file)


class Pages(Reader):
    """A TIFF of many pages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with as_tiff(lambda: tifffile.TiffFile(path), path) as file:
            page = file.pages[0]
            self.dtype, sizes = page.dtype, page.shape
            count = len(file.pages)
            if count == 1 and len(file.series[0].shape) == 3:  # one page that holds a stack
                count, *sizes = file.series[0].shape
        known(self.dtype, path)
        if len(sizes) != 2:
            raise DataError(f"{path}: expected grey pages (y, x), received {tuple(sizes)}")
        self.shape = (count, *sizes)

    def planes(self) -> Iterator[np.ndarray]:
        with tifffile.TiffFile(self.path) as file:
            if len(file.pages) == 1 and self.shape[0] > 1:
                yield from as_tiff(file.asarray, self.path)
                return
            for page in file.pages:
                plane = as_tiff(page.asarray, self.path)
                if plane.shape != self.shape[1:]:
                    raise DataError(
                        f"{self.path}: page {page.index}: expected {self.shape[1:]}, "
                        f"received {plane.shape}"
                    )
                yield plane


class Npy(Reader):
    """A `.npy` volume, mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.array = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error})") from error
        except (ValueError, EOFError) as error:  # NumPy would suggest to unpickle it
            raise DataError(f"{path}: expected a .npy array of numbers, complete") from error
        if self.array.ndim != 3:
            raise DataError(f"{path}: expected 3 axes (z, y, x), received {self.array.shape}")
        self.shape, self.dtype = self.array.shape, self.array.dtype
        known(self.dtype, path)

    def planes(self) -> Iterator[np.ndarray]:
        yield from self.array

    def windows(self) -> ArrayVolume:
        return ArrayVolume(self.array, _unread(self.path, self.shape, self.dtype, self.path))


class Zarr(Reader):
    """The finest level of an OME-Zarr, or a plain Zarr array. Needs the extra `zarr`."""

    def __init__(self, path: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise DataError(f"{path}: reading Zarr needs the package zarr: install it") from error
        self.path = path
        try:
            opened: Any = zarr.open(str(path), mode="r")
            # A group, as OME-Zarr is one, has no type of its own; its first scale is the finest.
            if not hasattr(opened, "dtype"):
                scales = opened.attrs["multiscales"][0]["datasets"]
                opened = opened[scales[0]["path"]]
        except Exception as error:
            raise DataError(f"{path}: cannot be read as OME-Zarr ({error})") from error
        self.array = opened
        self.shape, self.dtype = tuple(opened.shape[-3:]), np.dtype(opened.dtype)
        if any(n != 1 for n in opened.shape[:-3]) or len(self.shape) != 3:
            raise DataError(f"{path}: expected (z, y, x), received {opened.shape}")
        known(self.dtype, path)

    def planes(self) -> Iterator[np.ndarray]:
        lead = (0,) * (len(self.array.shape) - 3)
        deep = self.array.chunks[-3]
        for z in range(0, self.shape[0], deep):  # a chunk's planes together: each is read once
            yield from np.asarray(self.array[(*lead, slice(z, z + deep))])

    def pieces(self) -> Iterator[Piece]:
        """Runs of whole chunks along x, each chunk read once, `PIECE` bytes at a time."""
        lead = (0,) * (len(self.array.shape) - 3)
        deep, tall, wide = self.array.chunks[-3:]
        run = max(1, PIECE // (deep * tall * wide * self.dtype.itemsize)) * wide
        steps = zip(self.shape, (deep, tall, run), strict=True)
        for z, y, x in product(*(range(0, n, step) for n, step in steps)):
            part = self.array[(*lead, slice(z, z + deep), slice(y, y + tall), slice(x, x + run))]
            yield Piece((z, y, x), np.asarray(part))

    def windows(self) -> "Windows":
        metadata = [self.path / n for n in ("zarr.json", ".zattrs", ".zarray", ".zgroup")]
        return Windows(self.array, _unread(self.path, self.shape, self.dtype, *metadata))


class Windows:
    """A volume that is read where it is asked for: an array with slices, as Zarr gives them."""

    def __init__(self, array: Any, fingerprint: str) -> None:
        self.array, self.fingerprint = array, fingerprint
        self.shape: Sizes = tuple(array.shape[-3:])
        self.dtype = np.dtype(array.dtype)
        self._lead = (0,) * (len(array.shape) - 3)

    def read(self, start: Sizes, out_ZYX: np.ndarray) -> None:
        """Fills `out_ZYX` with the voxels from `start` on."""
        out_ZYX[:] = self.array[(*self._lead, *inside(start, out_ZYX.shape, self.shape))]


def _unread(path: Path, shape: Sizes, dtype: np.dtype, *files: Path) -> str:
    """A fingerprint of a volume too large to be read for it: its shape, type, name, and of the
    files named the size, with the bytes of small ones."""
    parts: list[Any] = [path.name, list(shape), dtype.name]
    for file in files:
        if file.exists():
            size = file.stat().st_size
            small = file.read_bytes() if size < 1 << 20 else b""
            parts.append([file.name, size, hashlib.sha256(small).hexdigest()])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def reader_of(path: Path) -> Reader:
    if path.is_dir():
        for name in SLICES:
            if (path / name).is_dir():
                return Slices(path / name)
        if any((path / name).exists() for name in (".zattrs", ".zarray", "zarr.json", ".zgroup")):
            return Zarr(path)
        if any(NUMBERED.fullmatch(file.name) for file in path.iterdir()):
            return Slices(path)
        raise DataError(f"{path}: expected surface_volume/ or layers/ with 00.tif, ...; found none")
    if path.suffix.lower() in TIFF:
        return Pages(path)
    if path.suffix.lower() == ".npy":
        return Npy(path)
    raise DataError(f"{path}: expected a folder, .tif, .npy, .zarr or {SUFFIX}")
