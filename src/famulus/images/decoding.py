"""From a file's bytes to the values that it stores: a header first, and then the pixels.

8 bits a channel are uint8; deeper pictures keep their type: uint16, int16, int32, uint32, float32.
Shapes: H W height and width, C channels.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import tifffile
from PIL import Image, ImageFile, ImageOps

from famulus.config.errors import DataError
from famulus.feed.quiet import quiet_pillow
from famulus.images import tiff

# no EPS: it starts a program
FORMATS = (*("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA"),)
MAX_PIXELS = 80_000_000  # below Pillow's own warning
STRIP = 1 << 20  # pixels that are converted at once
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
PNG_DEPTH, PNG_ALPHA = 24, (4, 6)  # where a PNG's header says the bits; its colour types with alpha

MORE_PAGES = "more pages than the one in use (data.pages: first, middle or all)"
UNLIKE_PAGE = "pages of another size or type than the file's first"
GROUNDS = {"black": 0, "white": 255}  # what transparent pictures are laid on
LAID = {name: f"transparency, laid on {name}" for name in GROUNDS}
EXTRA = "a channel of no stated meaning, left out"
CUT = "more than 8 bits a channel, of which 8 are read"
TAKEN = {"CMYK": "CMYK, taken for RGB", "LAB": "LAB, taken for RGB"}

Page = int | Literal["first", "middle"]
Ground = Literal["black", "white"]

quiet_pillow()


@dataclass(frozen=True)
class Picture:
    """`pixels` HW or HWC; `remarks`: what was changed on the way in, or taken for something."""

    pixels: np.ndarray
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """Of one page; `size`: bytes that decoding it takes; `pages`: how many the file has."""

    height: int
    width: int
    deep: bool
    size: int
    pages: int = 1
    remarks: tuple[str, ...] = ()


def decode(
    raw: bytes, min_alpha: float = 0.0, page: Page = "first", ground: Ground = "black"
) -> np.ndarray:
    """HW or HWC of a picture file, upright (EXIF), transparency laid on `ground`.

    Raises DataError with the reason if it can't be read, is too large, holds values that are not
    finite, or if less than the share `min_alpha` of it is opaque.
    """
    return read_picture(raw, min_alpha, page, ground=ground).pixels


def read_picture(
    raw: bytes,
    min_alpha: float = 0.0,
    page: Page = "first",
    take: Callable[[int], None] = lambda size: None,
    ground: Ground = "black",
) -> Picture:
    """As `decode`, with remarks; `take` is called with the bytes before they are needed."""
    with _one_reason(), _opened(io.BytesIO(raw), page, ground) as opened:
        take(opened.header.size)
        pixels, transparent = opened.read(min_alpha)
        remarks = [r for r in opened.header.remarks if r != LAID[ground] or transparent]
        return Picture(finite(pixels), tuple(remarks))


def read_header(file: Any, page: Page = "first", ground: Ground = "black") -> Header:
    """The header of an open file. Raises DataError with the reason if there is none."""
    with _one_reason(), _opened(file, page, ground) as opened:
        return opened.header


def finite(pixels: np.ndarray) -> np.ndarray:
    """The same. Raises DataError if any value is infinite or not a number."""
    if pixels.dtype.kind == "f" and (bad := pixels.size - np.count_nonzero(np.isfinite(pixels))):
        raise DataError(f"values that are not finite: {bad:,} of {pixels.size:,}")
    return pixels


@contextmanager
def _one_reason() -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything in a decoder
        # Pillow ends its message with the object's address, which is another one each time.
        reason = str(error).split("<")[0].strip() or type(error).__name__
        raise DataError(reason) from error


@dataclass(frozen=True)
class _Opened:
    """A file whose header was read; `read` gives its pixels while the file is open."""

    header: Header
    read: Callable[[float], tuple[np.ndarray, bool]]  # min_alpha to pixels, and if it had holes


@contextmanager
def _opened(file: Any, page: Page, ground: Ground) -> Iterator[_Opened]:
    head = file.read(32)
    if not tiff.is_tiff(head):
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            opened = _by_pillow(file, image, head, ground)
            pages = _go_to(image, page)
            _check_size(image.height, image.width)
            yield replace(opened, header=_with_pages(opened.header, page, pages))
        return
    pages = tiff.page_count(file)
    number = _number(page, pages)
    file.seek(0)
    with tifffile.TiffFile(file) as pages_of:
        first: Any = pages_of.pages[0]
        chosen: Any = pages_of.pages[number]  # a TiffPage: frames are made only when asked for
        if not tiff.is_deep(chosen):
            file.seek(0)
            with Image.open(file, formats=("TIFF",)) as image:
                image.seek(number)
                opened = _by_pillow(file, image, head, ground)
                header = _with_pages(opened.header, page, pages, first, chosen)
                yield replace(opened, header=header)
            return
        _check_size(chosen.imagelength, chosen.imagewidth)
        size = tiff.bytes_of(chosen)
        alpha = (LAID[ground],) if any(chosen.extrasamples) else ()
        header = Header(chosen.imagelength, chosen.imagewidth, True, size, remarks=alpha)

        def grey() -> np.ndarray:
            file.seek(0)
            with Image.open(file, formats=("TIFF",)) as image:
                image.seek(number)
                return np.asarray(image)

        def read(min_alpha: float) -> tuple[np.ndarray, bool]:
            stored = tiff.read_page(chosen, grey)
            return _laid(stored.colours, stored.opacity, min_alpha, ground)

        yield _Opened(_with_pages(header, page, pages, first, chosen), read)


def _with_pages(
    header: Header, page: Page, pages: int, first: Any = None, chosen: Any = None
) -> Header:
    remarks = list(header.remarks)
    if pages > 1 and not isinstance(page, int):
        remarks.append(MORE_PAGES)
    if first is not None and 0 in chosen.extrasamples:
        remarks.append(EXTRA)
    if first is not None and (chosen.shape, chosen.dtype) != (first.shape, first.dtype):
        remarks.append(UNLIKE_PAGE)
    return replace(header, pages=pages, remarks=tuple(remarks))


def _go_to(image: ImageFile.ImageFile, page: Page) -> int:
    """How many pages there are; the one that is wanted is current afterwards."""
    # the second picture of a photograph is a preview, or a map of its depth
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return 1
    pages = image.n_frames  # type: ignore[attr-defined]
    image.seek(_number(page, pages))
    return pages


def _number(page: Page, pages: int) -> int:
    number = page if isinstance(page, int) else {"first": 0, "middle": (pages - 1) // 2}[page]
    if number >= pages:
        raise DataError(f"page {number + 1} of {pages}: there is none")
    return number


def _check_size(height: int, width: int) -> None:
    # The header tells: nothing of that size is decoded before.
    if height * width > MAX_PIXELS:
        raise DataError(f"{width}x{height} pixels, limit {MAX_PIXELS}")


def _by_pillow(file: Any, image: ImageFile.ImageFile, head: bytes, ground: Ground) -> _Opened:
    _check_size(image.height, image.width)
    png16 = image.format == "PNG" and head[PNG_DEPTH : PNG_DEPTH + 1] == b"\x10"
    colours16 = png16 and image.mode in ("RGB", "RGBA")
    grey = image.mode in ("I", "F") or image.mode.startswith("I;16")
    alpha = image.mode in ALPHA_MODES or "transparency" in image.info
    remarks = [LAID[ground]] if alpha else []
    if image.mode in TAKEN:
        remarks.append(TAKEN[image.mode])
    if image.format == "PPM" and image.mode == "RGB" and _most(image) > 255:
        remarks.append(CUT)
    # Pillow holds 4 bytes a pixel of colours; the result is held beside it
    size = image.height * image.width * (16 if colours16 else 8)
    header = Header(image.height, image.width, grey or colours16, size, remarks=tuple(remarks))

    def read(min_alpha: float) -> tuple[np.ndarray, bool]:
        if colours16:
            return _sixteen_bits(file, image, min_alpha, ground)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        if grey:
            pixels = np.asarray(image)
            hole = image.info.get("transparency")
            holes = pixels == hole if isinstance(hole, int) else None
            opacity = None if holes is None else 1 - holes.astype(np.float32)
            return _laid(pixels, opacity, min_alpha, ground)
        return _bytes(image, alpha, min_alpha, ground)

    return _Opened(header, read)


def _most(image: ImageFile.ImageFile) -> int:
    """The largest value of a PPM, by its header; 0 if that is not to be seen."""
    args: Any = image.tile[0][3] if image.tile else None
    return args[1] if isinstance(args, tuple) and isinstance(args[1], int) else 0


def _bytes(
    image: Image.Image, alpha: bool, min_alpha: float, ground: Ground
) -> tuple[np.ndarray, bool]:
    """uint8 HW or HWC, strip by strip: no second copy of a large picture is made."""
    grey = image.mode in ("1", "L")
    wide, tall = image.size
    pixels = np.empty((tall, wide) if grey and not alpha else (tall, wide, 3), np.uint8)
    opaque, holes = 0, False
    colour = (*3 * (GROUNDS[ground],), 255)
    rows = max(1, STRIP // wide)
    for top in range(0, tall, rows):
        strip = image.crop((0, top, wide, min(top + rows, tall)))
        if alpha:
            # A palette or a plain RGB may name a transparent colour that its mode does not show.
            strip = strip.convert("RGBA")
            opacity = np.asarray(strip.getchannel("A"))
            opaque += int(np.count_nonzero(opacity >= 128))
            holes = holes or bool((opacity < 255).any())
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, colour), strip)
        pixels[top : top + rows] = np.asarray(strip.convert("L" if pixels.ndim == 2 else "RGB"))
    if alpha:
        _check_opaque(opaque / (wide * tall), min_alpha)
    return pixels, holes


def _sixteen_bits(
    file: Any, image: ImageFile.ImageFile, min_alpha: float, ground: Ground
) -> tuple[np.ndarray, bool]:
    """Colours or alpha of 16 bits in a PNG, of which Pillow keeps the high bytes.

    The file is decoded twice: its bytes are big-endian, so that the reader of little-endian values,
    who keeps their second byte, gives the low ones. Grey and alpha are four bytes a pixel.
    """
    grey = image.tile[0][3] == "LA;16B"
    halves = []
    for layout in ("RGBA",) if grey else (f"{image.mode};16B", f"{image.mode};16L"):
        file.seek(0)
        with Image.open(file, formats=("PNG",)) as once:
            once.tile = [once.tile[0]._replace(args=layout)]
            once.load()
            ImageOps.exif_transpose(once, in_place=True)
            halves.append(np.asarray(once))
    high, low = (halves[0][..., ::2], halves[0][..., 1::2]) if grey else halves
    values = high.astype(np.uint16) << 8 | low
    if values.shape[2] == 3:
        return values, False
    pixels, alpha = values[..., :-1], values[..., -1]
    opacity = alpha / np.float32(65535)
    return _laid(pixels[..., 0] if grey else pixels, opacity, min_alpha, ground)


def _laid(
    pixels: np.ndarray, opacity: np.ndarray | None, min_alpha: float, ground: Ground
) -> tuple[np.ndarray, bool]:
    """Deep colours times opacity, HW float32 in 0..1, in their own type; and if it had holes.

    White is the most that 8 or 16 bits hold. Raises DataError for white below other types.

    In strips: a large picture in float64 is four times its size.
    """
    if opacity is None:
        return np.ascontiguousarray(pixels), False
    _check_opaque(float((opacity >= 0.5).mean()), min_alpha)
    white = 0.0
    if ground == "white":
        if pixels.dtype.name not in ("uint8", "uint16"):
            kind = pixels.dtype
            raise DataError(f"transparency on white: expected 8 or 16 bits, received {kind}")
        white = float(np.iinfo(pixels.dtype).max)
    laid = np.empty(pixels.shape, pixels.dtype)
    rows = max(1, STRIP // max(1, pixels[:1].size))
    for top in range(0, len(pixels), rows):
        part = slice(top, top + rows)
        factor = opacity[part].astype(np.float64)
        factor = factor if pixels.ndim == 2 else factor[..., None]
        values = pixels[part] * factor + white * (1 - factor)
        laid[part] = np.rint(values) if pixels.dtype.kind in "iu" else values
    return laid, bool((opacity < 1).any())


def _check_opaque(share: float, least: float) -> None:
    if share < least:
        raise DataError(f"mostly empty: less than {least:.0%} opaque")
