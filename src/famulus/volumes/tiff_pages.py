"""Pages of TIFF files, a band of rows at a time, whatever they are compressed with.

Strips and tiles are decoded one by one, so that a page of any size takes a band of memory. Needs
imagecodecs (extra `formats`) for most compressions; without it Pillow reads what it knows.

Shapes: a band is (rows, x). Source: TIFF 6.0, section 8 (strips), 15 (tiles), WhiteIsZero.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.feed.quiet import quiet_log, quiet_pillow
from famulus.volumes import memory
from famulus.volumes.regular import first_line, regular

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2")
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1
PLAIN = (1, 8, 32946)  # no compression, deflate: read without imagecodecs

quiet_log("tifffile")
quiet_pillow()


@contextmanager
def tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """The opened file; what tifffile raises becomes a DataError that names the file."""
    try:
        # Not the other files that OME-XML may name: they are no part of this path.
        with tifffile.TiffFile(regular(path), _multifile=False) as file:
            yield file
    except DataError:
        raise
    # tifffile raises nearly anything on a damaged file.
    except Exception as error:
        raise DataError(f"{path}: can't be read as TIFF ({first_line(error)})") from error


def all_pages(file: tifffile.TiffFile, path: Path) -> list[Any]:
    """Every page of full size. Raises DataError if the chain of pages breaks off."""
    pages: list[Any] = list(file.pages)
    if not pages:
        raise DataError(f"{path}: expected at least one page, received none")
    handle, form = file.filehandle, file.tiff
    handle.seek(file.pages.next_page_offset or 0)
    raw = handle.read(form.offsetsize)
    following = struct.unpack(form.offsetformat, raw)[0] if len(raw) == form.offsetsize else -1
    if following:
        # tifffile ends at the last whole page and says nothing.
        raise DataError(f"{path}: truncated: page {len(pages)} and what follows are not there")
    return [page for page in pages if not page.is_reduced] or pages[:1]


def check_page(page: Any, path: Path, number: int, size: int) -> None:
    """Raises DataError unless the page is grey and lies within the file of `size` bytes."""
    where, frame = f"{path}: page {number}", page.keyframe
    if frame.dtype is None:
        raise DataError(f"{where}: voxels of {frame.bitspersample} bits are not known")
    if len(frame.shape) != 2 or frame.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        colour = getattr(frame.photometric, "name", frame.photometric)
        raise DataError(
            f"{where}: expected a grey slice (y, x), received {colour} {tuple(frame.shape)}: "
            "write it as grey first"
        )
    if frame.photometric == WHITE_IS_ZERO and frame.dtype.kind not in "ub":
        raise DataError(f"{where}: WhiteIsZero of {frame.dtype} has no meaning: write it anew")
    # A file that was cut short has sound headers; where its strips end tells.
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > size:
        raise DataError(
            f"{path}: truncated: page {number} ends at byte {max(ends, default=0)}, "
            f"the file at {size}"
        )
    if not frame.is_contiguous:
        unit = int(np.prod(frame.chunks[:2], dtype=np.int64)) * frame.dtype.itemsize
        memory.one_part(path, unit, f"page {number} has strips", "write it in tiles")


def form_of(page: Any) -> tuple[tuple[int, ...], np.dtype, bool]:
    """What pages of one volume have in common: (y, x), type, whether white is zero."""
    frame = page.keyframe
    return tuple(frame.shape), frame.dtype, frame.photometric == WHITE_IS_ZERO


def holes(page: Any) -> int:
    """Strips or tiles that a sparse page leaves out; they are read as 0."""
    return sum(n == 0 for n in page.databytecounts)


def bands(page: Any, path: Path, number: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, band) of a page from top to bottom, inverted if white is zero.

    Raises DataError naming file and page for damaged strips or a compression that is not known.
    """
    frame = page.keyframe
    try:
        for y, band in _stored(page, path, number):
            if frame.photometric == WHITE_IS_ZERO:
                top = band.dtype.type((1 << frame.bitspersample) - 1)
                band = top - band if band.dtype.kind == "u" else ~band
            yield y, band
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: page {number} can't be read ({first_line(error)})") from error


def _stored(page: Any, path: Path, number: int) -> Iterator[tuple[int, np.ndarray]]:
    frame = page.keyframe
    tall, wide = frame.shape
    if page.is_contiguous:
        order = page.parent.byteorder
        mapped = np.memmap(
            path, frame.dtype.newbyteorder(order), "r", page.dataoffsets[0], (tall, wide)
        )
        yield from _rows(mapped)
    elif frame.compression in PLAIN or find_spec("imagecodecs"):
        yield from _decoded(page, tall, wide)
    else:
        yield from _by_pillow(page, path, number)


def _rows(plane: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = memory.rows_at_once(plane.shape[1], plane.dtype.itemsize)
    for y in range(0, len(plane), step):
        yield y, np.asarray(plane[y : y + step], plane.dtype.newbyteorder("="))


def _decoded(page: Any, tall: int, wide: int) -> Iterator[tuple[int, np.ndarray]]:
    """Whole rows of strips or tiles, as many as a piece holds."""
    frame = page.keyframe
    high = frame.tilelength if frame.is_tiled else min(frame.rowsperstrip, tall)
    step = high * max(1, memory.rows_at_once(wide, frame.dtype.itemsize) // high)
    top, band = 0, None
    for part, place, _ in page.segments(maxworkers=1):
        y, x = place[2], place[3]
        if band is None or y >= top + len(band):
            if band is not None:
                yield top, band
            top, band = y, np.zeros((min(step, tall - y), wide), frame.dtype)
        if part is None:  # a strip that a sparse file leaves out
            continue
        rows = part[0, : tall - y, : wide - x, 0]
        band[y - top : y - top + len(rows), x : x + rows.shape[1]] = rows
    if band is not None:
        yield top, band


def _by_pillow(page: Any, path: Path, number: int) -> Iterator[tuple[int, np.ndarray]]:
    frame = page.keyframe
    memory.one_part(path, frame.nbytes, "a page", "pip install 'famulus[formats]'")
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            image.seek(page.index)
            plane = np.asarray(image)
        if plane.shape != frame.shape or plane.dtype.kind != frame.dtype.kind:
            raise ValueError(f"received {plane.shape} {plane.dtype}")
    except Exception:
        name = getattr(frame.compression, "name", frame.compression)
        needed("imagecodecs", "formats", f"{path}: page {number}, compression {name}")
        raise
    if frame.photometric == WHITE_IS_ZERO and plane.dtype == np.uint8:
        plane = 255 - plane  # Pillow has inverted 8 bits, and no others
    yield from _rows(plane.astype(frame.dtype))
