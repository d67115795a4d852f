"""Writing a volume as bricks, once, from planes or from pieces of any size; see `volumes.bricks`.

Shapes: Z Y X voxels; a brick is (bz, by, bx).
"""

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes.bricks import (
    DTYPES,
    HEADER,
    MAX_BYTES,
    SUFFIX,
    VERSION,
    VOXELS,
    Bricks,
    Piece,
    Sizes,
    bricks_met,
    grid_of,
)

SIDE, DEPTH = 128, 128


def write_bricks(
    folder: Path,
    planes: Iterable[np.ndarray | Piece],
    shape: Sizes,
    dtype: np.dtype,
    *,
    brick: Sizes | None = None,
    extras: dict[str, np.ndarray | None] | None = None,
    notes: Iterable[str] = (),
) -> Bricks:
    """Writes `planes` (YX each, z ascending, or pieces of any order) once; the opened volume.

    Raises DataError if `folder` exists complete, or the planes do not match `shape` and `dtype`.
    """
    folder, dtype = Path(folder), np.dtype(dtype)
    if folder.suffix != SUFFIX or (folder / HEADER).exists():
        raise DataError(f"{folder}: expected the name of a new folder that ends in {SUFFIX}")
    if dtype.name not in DTYPES:
        raise DataError(f"{folder}: expected voxels of {', '.join(DTYPES)}, received {dtype}")
    brick = brick or (min(shape[0], DEPTH), SIDE, SIDE)
    grid = grid_of(shape, brick)
    if math.prod(grid) * math.prod(brick) * dtype.itemsize > MAX_BYTES:
        raise DataError(f"{folder}: a volume of {shape} is over the limit of {MAX_BYTES} bytes")
    folder.mkdir(parents=True, exist_ok=True)
    stored = dtype.newbyteorder("<")  # one order of bytes on all machines
    bz, by, bx = brick
    voxels = np.memmap(folder / VOXELS, stored, "w+", shape=(*grid, by, bx, bz))
    # One buffer for all planes: each overwrites the picture, the padding stays 0.
    padded, seen = np.zeros((grid[1] * brick[1], grid[2] * brick[2]), stored), 0
    for start, part in _pieces(planes, folder, shape, dtype):
        # One NaN in a cube makes every weight NaN within a step.
        if dtype.kind == "f" and not np.isfinite(part).all():
            raise DataError(
                f"{folder}: plane {start[0]} holds NaN or infinite voxels: mend the source"
            )
        if part.shape[1:] == shape[1:]:
            for z, plane in enumerate(part, start[0]):
                padded[: shape[1], : shape[2]] = plane
                tiles = padded.reshape(grid[1], brick[1], grid[2], brick[2]).transpose(0, 2, 1, 3)
                voxels[z // bz, ..., z % bz] = tiles
        else:
            for there, here in bricks_met(start, part.shape, brick):
                voxels[there] = part[here].transpose(1, 2, 0)
        seen += part.size
    if seen != math.prod(shape):
        count = seen / math.prod(shape[1:])
        raise DataError(f"{folder}: expected {shape[0]} planes, received {count:g}")
    voxels.flush()
    for name, array in (extras or {}).items():
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    # Read back from the file: checksums of what lies there, not of what was sent.
    crc = [zlib.crc32(np.ascontiguousarray(voxels[place]).data) for place in np.ndindex(*grid)]
    header = {
        "version": VERSION,
        "shape": list(shape),
        "dtype": dtype.name,
        "brick": list(brick),
        "crc32": crc,
        "extras": {
            name: zlib.crc32(np.ascontiguousarray(array).data)
            for name, array in (extras or {}).items()
            if array is not None
        },
        "notes": list(notes),
    }
    # Last and at once: without its header a folder is no volume.
    partial = folder / f".{HEADER}.partial"
    partial.write_text(json.dumps(header), encoding="utf-8")
    os.replace(partial, folder / HEADER)
    return Bricks(folder)


def _pieces(
    planes: Iterable[np.ndarray | Piece], folder: Path, shape: Sizes, dtype: np.dtype
) -> Iterator[Piece]:
    """Planes as pieces; raises DataError naming one of another shape or type."""
    for z, given in enumerate(planes):
        piece = given if isinstance(given, Piece) else Piece((z, 0, 0), given[None])
        start, part = piece
        ends = [a + n for a, n in zip(start, part.shape, strict=True)]
        fits = all(end <= whole for end, whole in zip(ends, shape, strict=True))
        if piece is not given:
            fits = fits and part.shape[1:] == shape[1:]
        if not fits or part.dtype != dtype:
            raise DataError(
                f"{folder}: plane {start[0]}: expected {shape[0]} planes of {shape[1:]} {dtype}, "
                f"received {part.shape[1:]} {part.dtype}"
            )
        yield piece
