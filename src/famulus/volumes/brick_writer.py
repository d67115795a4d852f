"""Writing a volume as bricks, once, from planes or from pieces of any size; see `volumes.bricks`.

Shapes: Z Y X voxels; a brick is (bz, by, bx).
"""

import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

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
PARTIAL = f".{HEADER}.partial"


def write_bricks(
    folder: Path,
    planes: Iterable[np.ndarray | Piece],
    shape: Sizes,
    dtype: np.dtype,
    *,
    brick: Sizes | None = None,
    extras: dict[str, np.ndarray | None] | None = None,
    notes: Iterable[str] = (),
    window: tuple[float, float] | None = None,
) -> Bricks:
    """Writes `planes` (YX each, z ascending, or pieces of any order) once; the opened volume.

    `window`: the source's values at 0 and at full range. What was written is removed again if
    anything fails. Raises DataError if `folder` exists complete, or the planes do not match
    `shape` and `dtype`.
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
    ends = {"notes": list(notes), **({"window": list(window)} if window else {})}
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: array for name, array in (extras or {}).items() if array is not None}
    try:
        _write(folder, planes, shape, dtype, brick, arrays, ends)
    except BaseException:
        # Only its own files: the folder may hold others.
        for name in (VOXELS, PARTIAL, *(f"{name}.npy" for name in arrays)):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        raise
    return Bricks(folder)


def _write(
    folder: Path,
    planes: Iterable[np.ndarray | Piece],
    shape: Sizes,
    dtype: np.dtype,
    brick: Sizes,
    extras: dict[str, np.ndarray],
    ends: dict[str, Any],
) -> None:
    """The files of a volume, its header last; `ends`: the header's last fields."""
    stored, grid = dtype.newbyteorder("<"), grid_of(shape, brick)  # one order of bytes everywhere
    bz, by, bx = brick
    voxels = np.memmap(folder / VOXELS, stored, "w+", shape=(*grid, by, bx, bz))
    padded, seen = None, 0
    for start, part in _pieces(planes, folder, shape, dtype):
        # One NaN in a cube makes every weight NaN within a step.
        if dtype.kind == "f" and not np.isfinite(part).all():
            raise DataError(
                f"{folder}: plane {start[0]} holds NaN or infinite voxels: mend the source"
            )
        if part.shape[1:] == shape[1:]:
            if padded is None:
                # One buffer for all planes: each overwrites the picture, the padding stays 0.
                padded = np.zeros((grid[1] * by, grid[2] * bx), stored)
            for z, plane in enumerate(part, start[0]):
                padded[: shape[1], : shape[2]] = plane
                tiles = padded.reshape(grid[1], by, grid[2], bx).transpose(0, 2, 1, 3)
                voxels[z // bz, ..., z % bz] = tiles
        else:
            for there, here in bricks_met(start, part.shape, brick):
                voxels[there] = part[here].transpose(1, 2, 0)
        seen += part.size
    if seen != math.prod(shape):
        count = seen / math.prod(shape[1:])
        raise DataError(f"{folder}: expected {shape[0]} planes, received {count:g}")
    voxels.flush()
    for name, array in extras.items():
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
            name: zlib.crc32(np.ascontiguousarray(array).data) for name, array in extras.items()
        },
        **ends,
    }
    # Last and at once: without its header a folder is no volume.
    (folder / PARTIAL).write_text(json.dumps(header), encoding="utf-8")
    os.replace(folder / PARTIAL, folder / HEADER)


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
