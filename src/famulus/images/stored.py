"""An array inside a file, read in blocks of rows: memory holds one block, whatever the set's size.

Readers of a format say where the values start; what is damaged is noticed here, the same for all.
"""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from famulus.config.errors import DataError

BLOCK_BYTES = 16 << 20
PIECE_BYTES = 1 << 18  # of one call: zipfile joins what it unpacks for it, in quadratic time
MAX_WHOLE_BYTES = 1 << 30  # of an array that can't be read in blocks
MAX_LABEL_BYTES = 256 << 20
FREE_BYTES = 256 << 20  # an array up to this size may be packed as far as it likes
MAX_RATIO = 200  # unpacked over packed beyond that: made to fill the memory


@dataclass(frozen=True)
class Stored:
    """`where`: file and member, for messages; `digest`: of the file; `open`: at the first value."""

    where: str
    digest: str
    shape: tuple[int, ...]
    dtype: np.dtype
    open: Callable[[], AbstractContextManager[BinaryIO]] = field(compare=False)
    fortran: bool = False  # first axis fastest

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        return size_of(self.shape, self.dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive rows in native byte order. Raises DataError if the values are damaged."""
        row = size_of(self.shape[1:], self.dtype)
        step = len(self) if self.fortran else max(1, BLOCK_BYTES // max(row, 1))
        if step * row > max(MAX_WHOLE_BYTES, BLOCK_BYTES):
            raise DataError(
                f"{self.where}: {self.nbytes:,} bytes whose first axis varies fastest: expected at "
                f"most {MAX_WHOLE_BYTES:,}: store numpy.ascontiguousarray of it"
            )
        with self._opened() as file:
            for start in range(0, len(self), step):
                shape = (min(step, len(self) - start), *self.shape[1:])
                values = self._values(file, start * row, shape)
                yield values.astype(self.dtype.newbyteorder("="), copy=False)
            # Reaches the end, where a zip and a gzip compare their checksums.
            if self._read(file, memoryview(bytearray(1))):
                raise self._wrong("more")

    def labels(self) -> np.ndarray:
        """As `whole`, of what has a value or a short row for each picture."""
        if self.nbytes > MAX_LABEL_BYTES:
            raise DataError(
                f"{self.where}: {self.nbytes:,} bytes of {self.dtype} {self.shape}: expected "
                f"labels, at most {MAX_LABEL_BYTES:,}"
            )
        return self.whole()

    def whole(self) -> np.ndarray:
        """All of it in one array."""
        blocks = list(self.blocks())
        if not blocks:
            return np.empty(self.shape, self.dtype.newbyteorder("="))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        try:
            return self.open()
        except DataError:
            raise
        except Exception as error:
            raise self._unreadable(error) from error

    def _values(self, file: BinaryIO, before: int, shape: tuple[int, ...]) -> np.ndarray:
        raw = np.empty(size_of(shape, self.dtype), np.uint8)
        count = self._read(file, memoryview(raw.data)) if raw.size else 0
        if count < raw.size:
            raise self._wrong(f"{before + count:,}")
        return raw.view(self.dtype).reshape(shape, order="F" if self.fortran else "C")

    def _read(self, file: BinaryIO, into: memoryview) -> int:
        count = 0
        try:
            # A packed file gives what it has; only nothing means its end.
            while count < len(into):
                piece = file.readinto(into[count : count + PIECE_BYTES])  # type: ignore[attr-defined]
                if not piece:
                    break
                count += piece
        except Exception as error:  # checksum, damaged stream, a disk that fails
            raise self._unreadable(error) from error
        return count

    def _wrong(self, received: str) -> DataError:
        expected = f"expected {self.nbytes:,} bytes for {self.shape} of {self.dtype}"
        return DataError(f"{self.where}: {expected}, received {received}")

    def _unreadable(self, error: Exception) -> DataError:
        reason = str(error) or type(error).__name__
        return DataError(f"{self.where}: cannot be read ({reason}): fetch the file again")


def size_of(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Bytes of an array; in whole numbers of any length, as a header may claim anything."""
    size = dtype.itemsize
    for n in shape:
        size *= n
    return size


def file_bytes(path: Path) -> BinaryIO:
    """A file of its own, from its first byte on."""
    return open(path, "rb")


@contextmanager
def zip_member(path: Path, name: str, start: int = 0) -> Iterator[BinaryIO]:
    """A member of a zip, from byte `start` of it on."""
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        file.read(start)
        yield file  # type: ignore[misc]


def packed_size(path: Path, info: zipfile.ZipInfo) -> int:
    """Bytes of a member in the zip: the directory may claim more than the whole file has."""
    return min(info.compress_size, path.stat().st_size)


def check_ratio(where: str, unpacked: int, packed: int) -> None:
    """Raises DataError for an array that is large and packed as nothing but a constant packs."""
    ratio = unpacked / max(packed, 1)
    if unpacked > FREE_BYTES and ratio > MAX_RATIO:
        raise DataError(
            f"{where}: {unpacked:,} bytes, packed {ratio:.0f}-fold: expected at most {MAX_RATIO} "
            f"above {FREE_BYTES >> 20} MiB: store it without compression"
        )
