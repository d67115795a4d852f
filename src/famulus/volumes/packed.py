"""Numbers that lie one behind the other in a file, gzipped or not, a band of rows at a time.

Shapes: planes (y, x), x fastest.
"""

import bz2
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.bricks import Piece, Sizes
from famulus.volumes.regular import first_line

OPENERS = {"raw": open, "gzip": gzip.open, "bzip2": bz2.open}
MOST_PACKED = {"raw": 1, "gzip": 1_100, "bzip2": 2_000_000}  # zeros: 1,032-fold and a million
DAMAGE = (OSError, EOFError, zlib.error, ValueError)


def planes(file: IO[Any], path: Path, shape: Sizes, dtype: np.dtype) -> Iterator[Piece]:
    """Pieces of a volume that begins where `file` stands; no byte more is unpacked.

    Raises DataError naming the plane at which the file ends or is damaged.
    """
    deep, tall, wide = shape
    memory.one_part(path, wide * dtype.itemsize, "a row", "its sizes are damaged")
    step = memory.rows_at_once(wide, dtype.itemsize)
    for z in range(deep):
        for y in range(0, tall, step):
            rows = min(step, tall - y)
            raw = read(file, rows * wide * dtype.itemsize, path, f"plane {z}")
            band = np.frombuffer(raw, dtype).reshape(1, rows, wide)
            yield Piece((z, y, 0), band)


def read(file: IO[Any], size: int, path: Path, what: str) -> bytes:
    """So many bytes. Raises DataError if the file ends before or is damaged."""
    try:
        raw = file.read(size)
    except DAMAGE as error:
        raise DataError(f"{path}: {what} can't be read ({first_line(error)})") from error
    if len(raw) != size:
        raise DataError(f"{path}: truncated in {what}: expected {size} bytes, received {len(raw)}")
    return raw


def must_hold(path: Path, size: int, encoding: str) -> None:
    """Raises DataError if a file of its length can't hold so many bytes, as its header says."""
    length = path.stat().st_size
    if size > length * MOST_PACKED[encoding]:
        raise DataError(
            f"{path}: truncated in its voxels, or damaged in its header: expected {size} bytes, "
            f"received {length}{'' if encoding == 'raw' else f', {encoding}'}"
        )


def skip(file: IO[Any], size: int, path: Path) -> None:
    """Passes over bytes, a piece at a time: a seek in a gzip would unpack them at once."""
    while size > 0:
        size -= len(read(file, min(size, memory.PIECE), path, "what lies before the planes"))
