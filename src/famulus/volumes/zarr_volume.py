"""OME-Zarr 0.1 to 0.5 (the finest level), or a plain Zarr array of three axes. Extra `zarr`.

Axes are taken by their names. Chunks that are not there are counted by the names in the store,
without reading a voxel.

Shapes: Z Y X. Source: OME-NGFF 0.4 and 0.5, `multiscales`; Zarr 2 and 3, keys of chunks.
"""

import math
import os
import re
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.volumes import memory
from famulus.volumes.axes import choose
from famulus.volumes.bricks import Piece
from famulus.volumes.reader import Reader, Windows, unread
from famulus.volumes.regular import first_line, regular

MARKS = (".zattrs", ".zarray", "zarr.json", ".zgroup")
KEY = re.compile(r"(?:c[./])?\d+(?:[./]\d+)*")
MANY = 2_000_000  # keys of a store; more are not counted
Box = tuple[slice, slice, slice]


class Zarr(Reader):
    """Raises DataError naming the arrays if no multiscales say which one is meant."""

    ordered = False

    def __init__(self, path: Path, channel: int | None = None, time: int | None = None) -> None:
        zarr = needed("zarr", "zarr", f"{path}: reading Zarr")
        self.path, self.kind, self._notes = path, "OME-Zarr", list[str]()
        try:
            _require_regular(path)
            opened: Any = zarr.open(str(path), mode="r")
            names, where = self._level(opened)
            self.array = opened[where] if where else opened
            sizes = tuple(self.array.shape)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{path}: cannot be read as OME-Zarr ({first_line(error)})") from error
        self._folder = path / where
        if names is None:  # older than 0.3: t, c, z, y, x by the specification
            if len(sizes) < 3 or any(n != 1 for n in sizes[:-3]):
                raise DataError(f"{path}: expected (z, y, x), received {sizes}")
            names = "?" * (len(sizes) - 3) + "ZYX"
        if len(names) != len(sizes):
            raise DataError(f"{path}: expected sizes of the axes {names}, received {sizes}")
        self.axes, choice = names, choose(path, names, sizes, channel, time)
        deep, tall, wide = choice.order
        if deep is None:
            raise DataError(f"{path}: expected (z, y, x), received {sizes} of axes {names}")
        self._order, self._fixed = (deep, tall, wide), choice.fixed
        self.shape = sizes[deep], sizes[tall], sizes[wide]
        self.dtype = np.dtype(self.array.dtype)
        self._chunk = tuple(self.array.chunks[i] for i in self._order)
        size = math.prod(self.array.chunks) * self.dtype.itemsize
        memory.one_part(path, size, "chunks", "write it with smaller ones")
        self._notes += self._missing()

    @property
    def notes(self) -> list[str]:
        return self._notes

    def _level(self, opened: Any) -> tuple[str | None, str]:
        """Names of the axes, None where they are not named, and the array's path in the store."""
        if hasattr(opened, "dtype"):  # an array: a group has no type
            self.kind = "Zarr array"
            if len(opened.shape) == 3:
                self._notes.append(f"{self.path.name}: no axes named: taken as z, y, x")
            return None, ""
        attributes = dict(opened.attrs)
        scales = (attributes.get("ome") or attributes).get("multiscales")
        if not scales:
            arrays = ", ".join(sorted(name for name, _ in opened.arrays())) or "none"
            raise DataError(
                f"{self.path}: cannot be read as OME-Zarr: no multiscales say which array is the "
                f"volume; arrays in it: {arrays}: name one, as {self.path.name}/NAME"
            )
        if len(scales) > 1:
            self._notes.append(f"{self.path.name}: {len(scales) - 1} more images are left out")
        named = scales[0].get("axes")
        # 0.3 has texts, 0.4 objects
        letters = [a if isinstance(a, str) else a["name"] for a in named] if named else None
        if letters and any(len(letter) != 1 for letter in letters):
            raise DataError(f"{self.path}: expected axes t, c, z, y, x, received {letters}")
        where = str(scales[0]["datasets"][0]["path"])
        if ".." in Path(where).parts or Path(where).is_absolute():
            raise DataError(f"{self.path}: expected an array inside it, received {where}")
        return "".join(letters).upper() if letters else None, where

    def pieces(self) -> Iterator[Piece]:
        """Runs of whole chunks along x, each chunk read once, `memory.PIECE` bytes at a time."""
        deep, tall, wide = self._chunk
        run = max(1, memory.PIECE // (deep * tall * wide * self.dtype.itemsize)) * wide
        steps = (deep, tall, run)
        for start in product(*(range(0, n, s) for n, s in zip(self.shape, steps, strict=True))):
            box = (
                slice(a, min(a + s, n)) for a, s, n in zip(start, steps, self.shape, strict=True)
            )
            yield Piece(start, self.cut(tuple(box)))  # type: ignore[arg-type]

    def cut(self, box: Box) -> np.ndarray:
        """Voxels ZYX of three slices. Raises DataError with the path of a damaged chunk."""
        try:
            return self._cut(box)
        except Exception as error:
            damaged = self._damaged(box)
            raise DataError(f"{damaged}: can't be read ({first_line(error)})") from error

    def _cut(self, box: Box) -> np.ndarray:
        index: list[Any] = [self._fixed.get(i, 0) for i in range(len(self.array.shape))]
        for axis, part in zip(self._order, box, strict=True):
            index[axis] = part
        voxels = np.asarray(self.array[tuple(index)])
        # what is left are the three axes, in the order of the file
        return voxels.transpose([sorted(self._order).index(axis) for axis in self._order])

    def _damaged(self, box: Box) -> Path:
        """The file of the first chunk in the box that can't be read, or the array's."""
        ranges = [
            range(s.start // c, -(-s.stop // c)) for s, c in zip(box, self._chunk, strict=True)
        ]
        for place in product(*ranges):
            chunk = tuple(
                slice(i * c, min((i + 1) * c, n))
                for i, c, n in zip(place, self._chunk, self.shape, strict=True)
            )
            try:
                self._cut(chunk)  # type: ignore[arg-type]
            except Exception:
                return self._file(tuple(s.start for s in chunk))
        return self._folder

    def _unit(self) -> tuple[int, ...]:
        """What one file of the store holds: a chunk, or a shard of chunks."""
        return tuple(getattr(self.array, "shards", None) or self.array.chunks)

    def _file(self, start: tuple[int, ...]) -> Path:
        """The file that holds the voxel at `start`."""
        unit = self._unit()
        at = {axis: n // unit[axis] for axis, n in zip(self._order, start, strict=True)}
        at |= {axis: n // unit[axis] for axis, n in self._fixed.items()}
        place = tuple(at[i] for i in range(len(unit)))
        for key, name in _keys(self._folder):
            if key == place:
                return self._folder / name
        return self._folder

    def _missing(self) -> list[str]:
        """How many chunks (or shards) of the volume have no file."""
        unit, sizes = self._unit(), self.array.shape
        what = "chunks" if unit == tuple(self.array.chunks) else "shards"
        grid = [-(-n // u) for n, u in zip(sizes, unit, strict=True)]
        fixed = {axis: n // unit[axis] for axis, n in self._fixed.items()}
        expected = math.prod(grid[axis] for axis in self._order)
        present: set[tuple[int, ...]] = set()
        for count, (key, _) in enumerate(_keys(self._folder)):
            if count > MANY:
                return [f"{self.path.name}: more than {MANY} {what}: missing ones are not counted"]
            inside = len(key) == len(grid) and all(map(int.__lt__, key, grid))
            if inside and all(key[axis] == n for axis, n in fixed.items()):
                present.add(key)
        if len(present) == expected:
            return []
        return [
            f"{self.path.name}: {expected - len(present)} of {expected} {what} are not there: "
            f"read as the fill value {self.array.fill_value}"
        ]

    def windows(self) -> Windows:
        files = [self.path / name for name in ("zarr.json", ".zattrs", ".zarray", ".zgroup")]
        chosen = {"order": self._order, "fixed": self._fixed}
        plain = tuple(range(len(self.array.shape)))[-3:] == self._order
        print_ = unread(
            self.path, self.shape, self.dtype, *files,
            chosen=None if plain and not any(self._fixed.values()) else str(chosen),
        )  # fmt: skip
        return Windows(self.shape, self.dtype, print_, self.cut)


def _keys(folder: Path) -> Iterator[tuple[tuple[int, ...], str]]:
    """(place in the grid, path below the folder) of the chunks that have a file."""
    for file in _files(folder):
        name = os.path.relpath(file.path, folder).replace(os.sep, "/")
        if KEY.fullmatch(name):
            yield tuple(map(int, re.findall(r"\d+", name))), name


def _require_regular(folder: Path) -> None:
    """Raises DataError naming a FIFO or device, which zarr would read from for ever."""
    for file in islice(_files(folder), MANY):
        if not file.is_file():
            regular(Path(file.path))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that are no folders; links to folders are followed, to each once."""
    waiting, followed = [str(folder)], set[str]()
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if not entry.is_dir():
                    yield entry
                    continue
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if real in followed:
                        continue
                    followed.add(real)
                waiting.append(entry.path)
