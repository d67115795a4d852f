"""A `.npy` volume, mapped and never unpickled. Shapes: Z Y X."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.bricks import ArrayVolume, Piece
from famulus.volumes.reader import Reader, unread
from famulus.volumes.regular import regular


class Npy(Reader):
    """Raises DataError for what is no array of numbers with three axes."""

    kind = ".npy"

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.array = np.load(regular(path), mmap_mode="r", allow_pickle=False)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error})") from error
        # A damaged header raises nearly anything, and NumPy would suggest to unpickle it.
        except Exception as error:
            raise DataError(f"{path}: expected a .npy array of numbers, complete") from error
        # an .npz under another name is no array
        shape: Any = getattr(self.array, "shape", ())
        if len(shape) != 3 or not all(shape):
            raise DataError(f"{path}: expected 3 axes (z, y, x), received {shape}")
        self.shape, self.dtype = shape, self.array.dtype

    def pieces(self) -> Iterator[Piece]:
        step = memory.rows_at_once(self.shape[2], self.dtype.itemsize)
        for z, plane in enumerate(self.array):
            for y in range(0, len(plane), step):
                yield Piece((z, y, 0), plane[None, y : y + step])

    def windows(self) -> ArrayVolume:
        return ArrayVolume(self.array, unread(self.path, self.shape, self.dtype, self.path))
