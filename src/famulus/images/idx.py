"""IDX files, plain or gzipped: the format of MNIST. Source: yann.lecun.com/exdb/mnist (format).

A big-endian header: two zero bytes, a type code (8 = uint8), the number of axes, one 32 bit size
for each axis; then the values, last axis fastest. Only uint8 is read.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError

MAX_BYTES = 4 << 30
DEFLATE = 1040  # the most that gzip can shrink: 1032, and some for the header


def read_idx(path: Path, axes: int | None = None) -> np.ndarray:
    """The uint8 array in `path`. The size is checked before anything of that size is allocated.

    Raises DataError if the magic, the number of `axes`, or the count of bytes is not as expected.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
                raise DataError(
                    f"{path}: expected an IDX file of uint8 (magic 00 00 08 01..04), "
                    f"received {magic.hex(' ') or 'an empty file'}"
                )
            if axes is not None and magic[3] != axes:
                raise DataError(f"{path}: expected {axes} axes, received {magic[3]}")
            header = file.read(4 * magic[3])
            if len(header) < 4 * magic[3]:
                raise DataError(f"{path}: the header is cut short: fetch the file again")
            shape = struct.unpack(f">{magic[3]}I", header)
            expected = math.prod(shape)
            if expected > MAX_BYTES:
                raise DataError(f"{path}: expected at most {MAX_BYTES} bytes, header says {shape}")
            if expected > path.stat().st_size * (DEFLATE if path.suffix == ".gz" else 1):
                raise DataError(f"{path}: too small to hold the {expected} bytes for {shape}")
            data = file.read(expected + 1)  # one more, to notice a file that is too long
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}): fetch the file again") from error
    if len(data) != expected:
        received = "more" if len(data) > expected else str(len(data))
        raise DataError(f"{path}: expected {expected} bytes for {shape}, received {received}")
    return np.frombuffer(data, np.uint8).reshape(shape)
