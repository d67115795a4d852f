"""What every foreign file of a volume offers: shape, type, axes, and its voxels in pieces.

Shapes: Z Y X; a piece is (z, rows, x) of some planes, or any other box.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.bricks import SUFFIX, ArrayVolume, Piece, Sizes, empty_cubes, inside
from famulus.volumes.values import Values, Window

Spacing = tuple[float, float, float]


class Windows:
    """A volume that is read where it is asked for: `cut` gives the box of three slices ZYX."""

    def __init__(
        self,
        shape: Sizes,
        dtype: np.dtype,
        fingerprint: str,
        cut: Callable[[tuple[slice, slice, slice]], np.ndarray],
    ) -> None:
        self.shape, self.dtype, self.fingerprint, self._cut = shape, dtype, fingerprint, cut

    def read(self, start: Sizes, out_ZYX: np.ndarray) -> None:
        """Fills `out_ZYX` with the voxels from `start` on."""
        out_ZYX[:] = self._cut(inside(start, out_ZYX.shape, self.shape))


class Reader(ABC):
    """A source whose shape and type are known, and which gives its voxels piece by piece.

    `axes`: as the file names them; `notes`: what a person must know; `spacing`: mm or what the
    file says, z y x, where it says it. `ordered`: pieces come plane by plane from the top.
    """

    path: Path
    shape: Sizes
    dtype: np.dtype
    kind: str
    axes = "ZYX"
    spacing: Spacing | None = None
    ordered = True

    def check_length(self) -> None:  # noqa: B027
        """Raises DataError for a file that can't hold what its header says, before any is read."""

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """All voxels once, in pieces that fit into memory whatever the size."""

    @property
    def notes(self) -> list[str]:
        return []

    def windows(self) -> "ArrayVolume | Windows":
        """The volume without reading it: for blocks of what no memory can hold."""
        raise DataError(
            f"{self.path}: data.blocks reads .npy, OME-Zarr and {SUFFIX}: convert it first "
            f"(famulus data convert {self.path} NAME{SUFFIX})"
        )

    def load(self) -> ArrayVolume:
        """Raises DataError naming what can't be read, or sizes that don't fit into memory."""
        remedy = f"write it as bricks first (famulus data convert {self.path} NAME{SUFFIX})"
        memory.must_fit(self.path, self.shape, self.dtype, remedy)
        array, digest = empty_cubes(1, self.shape, self.dtype)[0], hashlib.sha256()
        for start, part in self.pieces():
            finite(part, self.path, start)
            z, y, x = inside(start, part.shape, self.shape)
            array[z, y, x] = part
            if self.ordered:
                digest.update(np.ascontiguousarray(part).data)
        if not self.ordered:
            # The same bytes as plane by plane: what a file is cut into names no volume.
            rows = memory.rows_at_once(self.shape[2], self.dtype.itemsize)
            for plane in array:
                for top in range(0, len(plane), rows):
                    digest.update(np.ascontiguousarray(plane[top : top + rows]).data)
        return ArrayVolume(array, digest.hexdigest()[:16])


class Stored(Reader):
    """Another reader's voxels in the type that is stored."""

    def __init__(self, reader: Reader, values: Values) -> None:
        self.reader, self.values = reader, values
        self.path, self.shape, self.dtype = reader.path, reader.shape, values.stored
        self.kind, self.axes, self.spacing = reader.kind, reader.axes, reader.spacing
        self.ordered = reader.ordered

    @property
    def window(self) -> Window | None:
        return self.values.window

    @property
    def notes(self) -> list[str]:
        note = self.values.note
        return [*self.reader.notes, *([f"{self.path.name}: {note}"] if note else [])]

    def check_length(self) -> None:
        self.reader.check_length()

    def pieces(self) -> Iterator[Piece]:
        for start, part in self.reader.pieces():
            finite(part, self.path, start)
            yield Piece(start, self.values(part))

    def windows(self) -> "ArrayVolume | Windows":
        return converted(self.reader.windows(), self.values)


def converted(volume: Any, values: Values) -> Any:
    """A volume whose voxels are converted where they are read."""
    if values.note is None:
        return volume

    def cut(slices: tuple[slice, slice, slice]) -> np.ndarray:
        start = tuple(s.start for s in slices)
        box = np.empty(tuple(s.stop - s.start for s in slices), volume.dtype)
        volume.read(start, box)
        finite(box, "volume", start)
        return values(box)

    # The window is part of what is read: another one is another data set.
    text = f"{volume.fingerprint}/{values.stored.name}/{values.window}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Windows(volume.shape, values.stored, digest, cut)


def finite(part: np.ndarray, where: object, start: tuple[int, ...]) -> None:
    """Raises DataError naming the first plane with a voxel that is no number."""
    # One NaN in a cube makes every weight NaN within a step.
    if part.dtype.kind == "f" and not np.isfinite(part).all():
        plane = start[0] + int(np.argmin(np.isfinite(part).all(axis=(1, 2))))
        raise DataError(f"{where}: plane {plane} holds NaN or infinite voxels: mend the source")


def limits_of(reader: Reader) -> Window:
    """The lowest and highest voxel, in one pass over the pieces."""
    low, high = np.inf, -np.inf
    for start, part in reader.pieces():
        finite(part, reader.path, start)
        low, high = min(low, part.min()), max(high, part.max())
    return float(low), float(high)


def unread(path: Path, shape: Sizes, dtype: np.dtype, *files: Path, chosen: Any = None) -> str:
    """A fingerprint of a volume too large to be read for it: its shape, type, name, and of the
    files named the size, with the bytes of small ones; `chosen`: which part of the file it is."""
    parts: list[Any] = [path.name, list(shape), dtype.name]
    for file in files:
        if file.exists():
            size = file.stat().st_size
            small = file.read_bytes() if size < 1 << 20 else b""
            parts.append([file.name, size, hashlib.sha256(small).hexdigest()])
    if chosen:
        parts.append(chosen)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
