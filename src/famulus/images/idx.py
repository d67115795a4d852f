"""IDX files, plain or gzipped: the format of MNIST. Source: yann.lecun.com/exdb/mnist (format).

A big-endian header: two zero bytes, a type code (`TYPES`), the number of axes, one 32 bit size for
each axis; then the values, big-endian too, last axis fastest.
"""

import gzip
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from famulus.config.errors import DataError
from famulus.images.stored import Stored, check_ratio, file_bytes, size_of

MAX_BYTES = 4 << 30
MAX_AXES = 4
DEFLATE = 1040  # the most that gzip can shrink: 1032, and some for the header
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
Opener = Callable[[], AbstractContextManager[BinaryIO]]


def read_idx(path: Path, axes: int | None = None) -> np.ndarray:
    """The array in `path`. The size is checked before anything of that size is allocated.

    Raises DataError if the magic, the number of `axes`, or the count of bytes is not as expected.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}): fetch the file again") from error
    return stored_idx(str(path), "", partial(file_bytes, path), size, size, axes).whole()


def stored_idx(
    where: str, digest: str, source: Opener, size: int, packed: int, axes: int | None = None
) -> Stored:
    """The array in the file that `source` opens, `size` bytes long, of which `packed` are stored;
    gzipped if `where` ends in .gz. Reads its header only. Raises DataError as `read_idx`."""
    gzipped = where.lower().endswith(".gz")
    try:
        with _unpacked(source, gzipped, 0) as file:
            magic = file.read(4)
            header = file.read(4 * min(magic[3], MAX_AXES)) if len(magic) == 4 else b""
    except Exception as error:  # damaged gzip, damaged zip around it, a disk that fails
        raise DataError(f"{where}: cannot be read ({error}): fetch the file again") from error
    if (
        len(magic) < 4
        or magic[:2] != b"\0\0"
        or magic[2] not in TYPES
        or not 1 <= magic[3] <= MAX_AXES
    ):
        raise DataError(
            f"{where}: expected an IDX file (magic 00 00 08 01..04; 09, 0b..0e for 08 where its "
            f"values are no bytes), received {magic.hex(' ') or 'an empty file'}"
        )
    if axes is not None and magic[3] != axes:
        raise DataError(f"{where}: expected {axes} axes, received {magic[3]}")
    if len(header) < 4 * magic[3]:
        raise DataError(f"{where}: the header is cut short: fetch the file again")
    shape, dtype = struct.unpack(f">{magic[3]}I", header), np.dtype(TYPES[magic[2]])
    expected = size_of(shape, dtype)
    if expected > MAX_BYTES:
        raise DataError(f"{where}: expected at most {MAX_BYTES} bytes, header says {shape}")
    if expected > size * (DEFLATE if gzipped else 1):
        raise DataError(f"{where}: too small to hold the {expected} bytes for {shape}")
    check_ratio(where, expected, packed)
    start = 4 + 4 * magic[3]
    return Stored(where, digest, shape, dtype, partial(_unpacked, source, gzipped, start))


@contextmanager
def _unpacked(source: Opener, gzipped: bool, start: int) -> Iterator[BinaryIO]:
    with source() as raw, gzip.open(raw) if gzipped else raw as file:
        file.read(start)
        yield file  # type: ignore[misc]
