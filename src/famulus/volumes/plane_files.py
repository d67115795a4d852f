"""One picture of one plane: a TIFF slice, a PNG or a JPEG, its header first.

Shapes: axis 0 is y (rows), axis 1 is x.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.regular import first_line, regular
from famulus.volumes.tiff_pages import SUFFIXES, all_pages, bands, check_page, form_of, tiff

# Pillow's modes; PNGs of 16 bits are I in older versions
GREYS = {"L": "uint8", "I;16": "uint16", "I;16B": "uint16", "1": "bool"}
Form = tuple[tuple[int, int], np.dtype, bool]


def is_tiff(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


@contextmanager
def picture(file: Path) -> Iterator[Image.Image]:
    """An opened PNG or JPEG. Raises DataError naming the file."""
    try:
        with warnings.catch_warnings():
            # of sizes, for which its own limit is below, and of damage that it reads past
            warnings.simplefilter("ignore")
            with Image.open(regular(file), formats=("PNG", "JPEG")) as image:
                count = image.width * image.height
                memory.one_part(file, count, "a picture", "write it as a TIFF in tiles")
                yield image
    except DataError:
        raise
    # Pillow raises many kinds on a damaged file.
    except Exception as error:
        raise DataError(f"{file}: can't be read ({first_line(error)})") from error


def header(file: Path) -> Form:
    """(y, x), type and whether white is zero, without the voxels."""
    if is_tiff(file):
        with tiff(file) as opened:
            pages = all_pages(opened, file)
            if len(pages) > 1:
                raise DataError(f"{file}: expected one page, received {len(pages)}")
            check_page(pages[0], file, 0, file.stat().st_size)
            shape, dtype, inverted = form_of(pages[0])
            return (shape[0], shape[1]), dtype.newbyteorder("="), inverted
    with picture(file) as image:
        mode, (wide, tall) = image.mode, image.size
    if mode not in GREYS:
        raise DataError(f"{file}: expected a grey slice of 8 or 16 bits, received {mode}")
    return (tall, wide), np.dtype(GREYS[mode]), False


def bands_of(file: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, band of rows) of a grey slice from top to bottom."""
    if is_tiff(file):
        with tiff(file) as opened:
            yield from bands(opened.pages[0], file, 0)
        return
    with picture(file) as image:
        dtype = np.dtype(GREYS[image.mode])
        step = memory.rows_at_once(image.width, dtype.itemsize)
        for y in range(0, image.height, step):
            box = (0, y, image.width, min(y + step, image.height))
            yield y, np.asarray(image.crop(box)).astype(dtype, copy=False)
