"""What a reader may hold: known from a file's header before anything is taken.

Units: bytes. Beside the volume itself a reader holds a few pieces of `PIECE`; what a file forces to
be decoded in one go (a strip, a chunk, a picture) may take `PART`, so that the whole stays within
1 GB above the result.
"""

import math
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError

PIECE = 32 << 20
PART = 256 << 20
MACHINE = Path("/proc/meminfo")
MAX_RAM = 8 << 30  # of a volume that is read into memory without conversion


def free_bytes() -> int | None:
    """What can still be taken on this machine (proc(5), meminfo); None where nobody tells."""
    try:
        lines = MACHINE.read_text().splitlines()
        return next(int(v.split()[1]) * 1024 for v in lines if v.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def room() -> int:
    """What a volume may take here: most of the free memory, at most `MAX_RAM`."""
    free = free_bytes()
    return MAX_RAM if free is None else min(MAX_RAM, free * 9 // 10)


def must_fit(path: Path, shape: tuple[int, ...], dtype: np.dtype, remedy: str) -> None:
    """Raises DataError with both sizes unless an array of that shape fits into memory."""
    size, most = math.prod(shape) * np.dtype(dtype).itemsize, room()
    if size > most:
        raise DataError(
            f"{path}: {by(shape)} of {np.dtype(dtype).name} takes {size / 1e9:.1f} GB, more than "
            f"the {most / 1e9:.1f} GB that fit here: {remedy}"
        )


def one_part(path: Path, size: int, what: str, remedy: str) -> None:
    """Raises DataError for a part of a file that can't be decoded without holding too much."""
    if size > PART:
        raise DataError(
            f"{path}: {what} of {size / 1e9:.2g} GB, which is decoded in one go: expected at most "
            f"{PART / 1e9:.2g} GB: {remedy}"
        )


def rows_at_once(wide: int, itemsize: int) -> int:
    """Rows of a plane that make up one piece."""
    return max(1, PIECE // max(1, wide * itemsize))


def by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
