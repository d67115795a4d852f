"""TIFF pages that Pillow reads in 8 bits, wrongly, or not at all: of more than 8 bits a sample,
signed, or floating point. tifffile reads them as they are stored.

Shapes: H W height and width, C samples a pixel, the last axis.
"""

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tifffile

from famulus.config.errors import DataError
from famulus.feed.extras import needed
from famulus.feed.quiet import quiet_log

MAX_BYTES = 1 << 30  # of one page, decoded
MAX_PAGES = 100_000
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
GREY_SPACES, RGB = (0, 1), 2  # photometric interpretation; 0: white is zero
ORIENTATION = 274
BUILT_IN = (1, 8, 32773, 32946)  # compressions that tifffile knows alone: none, deflate, packbits

quiet_log("tifffile")


@dataclass(frozen=True)
class Pixels:
    """`colours` HW or HWC as stored, upright, 0 black; `opacity` HW float32 0..1, None: opaque."""

    colours: np.ndarray
    opacity: np.ndarray | None


def is_tiff(head: bytes) -> bool:
    return head[:4] in MAGIC


def page_count(file: io.BufferedIOBase) -> int:
    """How many pages the chain of a TIFF's directories has.

    Raises DataError where the chain leads beyond the end of the file or in a circle.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    entries, offset = (order + "Q", order + "Q") if big else (order + "H", order + "I")
    entry_size = 20 if big else 12
    (at,) = struct.unpack_from(offset, head.ljust(16, b"\0"), 8 if big else 4)
    places: set[int] = set()
    while at:
        if at in places or len(places) == MAX_PAGES:
            raise DataError(f"its pages lead in a circle, or are more than {MAX_PAGES:,}")
        places.add(at)
        count = _number(file, at, entries, end, len(places))
        link = at + struct.calcsize(entries) + count * entry_size
        at = _number(file, link, offset, end, len(places))
    return len(places)


def _number(file: io.BufferedIOBase, at: int, form: str, end: int, page: int) -> int:
    size = struct.calcsize(form)
    if at + size > end:
        raise DataError(f"truncated: page {page} lies beyond the end of its {end:,} bytes")
    file.seek(at)
    return struct.unpack(form, file.read(size))[0]


def is_deep(page: tifffile.TiffPage) -> bool:
    """Whether 8 unsigned bits a sample do not hold this page."""
    # a type that tifffile does not know, as 12 bits in JPEG, is left to Pillow
    return page.dtype is not None and page.dtype not in (np.dtype(np.uint8), np.dtype(bool))


def bytes_of(page: tifffile.TiffPage) -> int:
    """What decoding takes, by the header. Raises DataError if that is too much."""
    assert page.dtype is not None  # of deep pages only
    # one strip or tile may claim more than the page
    size = max(math.prod(page.shape), math.prod(page.chunks)) * page.dtype.itemsize
    if size > MAX_BYTES:
        raise DataError(f"{size:,} bytes when decoded, limit {MAX_BYTES:,}")
    return size


def read_page(page: tifffile.TiffPage, fallback: Callable[[], np.ndarray]) -> Pixels:
    """A deep page as it is stored; `fallback`, Pillow's grey values, where a codec lacks.

    Raises DataError for anything but grey and RGB, each with or without alpha.
    """
    if page.dtype is None or page.dtype.kind not in "iuf":
        raise DataError(f"values of type {page.dtype}: expected whole or floating point numbers")
    samples = page.samplesperpixel
    alphas = len(page.extrasamples)
    grey = page.photometric in GREY_SPACES
    known = grey or page.photometric == RGB
    if not known or samples - alphas != (1 if grey else 3) or alphas > 1:
        name = getattr(page.photometric, "name", page.photometric)
        raise DataError(
            f"{samples} samples a pixel of {page.dtype} in {name}: expected grey or RGB, each with"
            " or without alpha"
        )
    if page.compression in BUILT_IN or _codecs(fallback, samples):
        pixels = page.asarray()
        if page.axes.startswith("S"):
            pixels = np.moveaxis(pixels, 0, -1)
    else:
        pixels = fallback().astype(page.dtype)
    if pixels.shape[:2] != (page.imagelength, page.imagewidth):
        raise DataError(f"a page of axes {page.axes}: expected rows and columns alone")
    opacity = None
    if alphas:
        opacity = _opacity(pixels[..., -1]) if page.extrasamples[0] == 2 else None
        pixels = pixels[..., 0] if grey else pixels[..., :3]
    if page.photometric == 0:
        pixels = _inverted(pixels, page.bitspersample)
    tag = page.tags.get(ORIENTATION)
    turn = 1 if tag is None else tag.value
    return Pixels(_upright(pixels, turn), None if opacity is None else _upright(opacity, turn))


def _codecs(fallback: Callable[[], np.ndarray], samples: int) -> bool:
    """Whether tifffile can decompress; False where Pillow must. Raises DataError if neither."""
    try:
        needed("imagecodecs", "volumes", "a compressed TIFF of more than 8 bits")
    except DataError:
        # Pillow knows one channel of 16 or 32 bits, and cuts others to 8 bits
        if samples > 1:
            raise
        return False
    return True


def _inverted(pixels: np.ndarray, bits: int) -> np.ndarray:
    """White is zero: black becomes 0, as in pictures where black is zero."""
    if pixels.dtype.kind == "f":
        return -pixels
    # of signed ones -1 - v, which no value leaves the type by
    return ~pixels if pixels.dtype.kind == "i" else ((1 << bits) - 1 - pixels).astype(pixels.dtype)


def _opacity(alpha: np.ndarray) -> np.ndarray:
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    return (alpha / np.float32(full)).astype(np.float32)


def _upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """By the eight orientations of TIFF 6.0: rows and columns swapped, then either reversed."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
