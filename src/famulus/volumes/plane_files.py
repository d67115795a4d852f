"""One picture of one plane: a TIFF slice, a PNG or a JPEG, its header first.

Shapes: axis 0 is y (rows), axis 1 is x.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes.bricks import DTYPES

TIFF = (".tif", ".tiff")
GREYS = {"L": "uint8", "I;16": "uint16"}  # modes of pictures
MAX_PIXELS = 4_000_000_000


def read_plane(path: Path) -> np.ndarray:
    """One picture as it is, YX. Raises DataError naming the file."""
    try:
        with Image.open(path, formats=("PNG", "TIFF", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path}: {image.size} is over the limit of {MAX_PIXELS} pixels")
            array = np.asarray(image.convert("L") if image.mode in ("RGB", "RGBA", "P") else image)
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return array


def header(file: Path) -> tuple[tuple[int, int], np.dtype]:
    """(y, x) and type of a slice, without its voxels."""
    if file.suffix.lower() in TIFF:
        return _tiff_header(file)
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            mode, (wide, tall) = image.mode, image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    if mode not in GREYS:
        raise DataError(f"{file}: expected a grey slice of 8 or 16 bits, received {mode}")
    return (tall, wide), np.dtype(GREYS[mode])


def _tiff_header(file: Path) -> tuple[tuple[int, int], np.dtype]:
    with as_tiff(lambda: tifffile.TiffFile(file), file) as opened:
        page = opened.pages[0]
        known(page.dtype, file)
        if len(page.shape) != 2:
            raise DataError(f"{file}: expected a grey slice (y, x), received {page.shape}")
        # A file that was cut short has a sound header; where its strips end tells.
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        size = file.stat().st_size
        if not ends or max(ends) > size:
            raise DataError(
                f"{file}: truncated: expected {max(ends, default=0)} bytes, found {size}"
            )
        return page.shape, page.dtype


def as_tiff(work: Callable[[], Any], path: Path) -> Any:
    """What `work` returns; what tifffile raises becomes a DataError that names the file."""
    try:
        return work()
    except DataError:
        raise
    # tifffile raises nearly anything on a damaged file.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as TIFF ({error})") from error


def known(dtype: np.dtype | None, path: Path) -> None:
    """Raises DataError unless voxels of this type can be stored."""
    if dtype is None or np.dtype(dtype).name not in DTYPES:
        raise DataError(f"{path}: expected voxels of {', '.join(DTYPES)}, received {dtype}")
