"""One picture: from a file's bytes to uint8, and from uint8 to the size that a net expects.

Shapes: H W height and width, C channels. Pillow does the resampling, so `bilinear`, `bicubic` and
`lanczos` are antialiased when they make a picture smaller, and `nearest` is not.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from famulus.config.errors import ConfigError, DataError

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FITS = ("stretch", "letterbox", "crop")
# no EPS: it starts a program
FORMATS = (*("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "TGA"),)
MAX_PIXELS = 80_000_000  # below Pillow's own warning
Box = tuple[int, int, int, int]  # top, left, height, width of the picture inside its frame


@dataclass(frozen=True)
class Recipe:
    """How pictures become samples. `size` (H, W), `channels` 1 or 3; None keeps what is there."""

    size: tuple[int, int] | None
    filter: str
    channels: int | None
    fit: str


def recipe(size: Any, filter: str, channels: int | None, fit: str) -> Recipe:
    """A checked `Recipe`; `size` is null, one number (square) or [height, width].

    Raises ConfigError naming the field and what is allowed.
    """
    if filter not in FILTERS:
        raise ConfigError(f"data.filter: expected one of {', '.join(FILTERS)}, received {filter!r}")
    if fit not in FITS:
        raise ConfigError(f"data.fit: expected one of {', '.join(FITS)}, received {fit!r}")
    if channels not in (None, 1, 3):
        raise ConfigError(f"data.channels: expected 1, 3 or null, received {channels!r}")
    pair = size if isinstance(size, list | tuple) else (size, size)
    if size is not None and (
        len(pair) != 2 or not all(type(n) is int and 1 <= n <= 8192 for n in pair)
    ):
        raise ConfigError(
            f"data.size: expected null, pixels or [height, width] of 1 to 8192, received {size!r}"
        )
    return Recipe(None if size is None else (pair[0], pair[1]), filter, channels, fit)


def decode(raw: bytes, min_alpha: float = 0.0) -> np.ndarray:
    """uint8 HW or HWC of a picture file, upright (EXIF), transparency laid on black.

    Of an animation the first frame; 16 bit greys are scaled to 8.
    Raises DataError with the reason if it can't be read, is too large, or if less than the share
    `min_alpha` of it is opaque.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as file:
            # The header tells: nothing of that size is decoded before.
            if file.width * file.height > MAX_PIXELS:
                raise DataError(f"{file.width}x{file.height} pixels, limit {MAX_PIXELS}")
            file.load()
            image = ImageOps.exif_transpose(file)
            if image.mode == "I" or image.mode.startswith("I;16"):
                wide = np.asarray(image).astype(np.int64)
                # 257 and not 256: white stays white, as 65535 / 257 = 255. Half of it rounds.
                return ((wide.clip(0, 65535) + 128) // 257).astype(np.uint8)
            if image.mode == "F":
                raise DataError("floating point values: expected 8 or 16 bit")
            # A palette or a plain RGB may name a transparent colour that its mode does not show.
            if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
                return _flatten(image.convert("RGBA"), min_alpha)
            return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything in a decoder
        # Pillow ends its message with the object's address, which is another one each time.
        reason = str(error).split("<")[0].strip() or type(error).__name__
        raise DataError(reason) from error


def _flatten(image: Image.Image, min_alpha: float) -> np.ndarray:
    """Colour times alpha, HWC uint8: the picture in front of black."""
    alpha = np.asarray(image.getchannel("A"))
    opaque = float((alpha >= 128).mean())
    if opaque < min_alpha:
        raise DataError(f"mostly empty: less than {min_alpha:.0%} opaque")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return np.asarray(Image.alpha_composite(black, image).convert("RGB"))


def with_channels(pixels: np.ndarray, channels: int | None) -> np.ndarray:
    """HW for one channel, HWC for three; grey is luma .299 R + .587 G + .114 B, rounded."""
    if channels == 1 and pixels.ndim == 3:
        return np.asarray(Image.fromarray(pixels).convert("L"))
    if channels == 3 and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels


def place(height: int, width: int, size: tuple[int, int], fit: str) -> Box:
    """Where the whole resized picture lies in a frame of `size`; `crop` reaches beyond the frame.

    The odd pixel of an uneven margin falls to the bottom and to the right.
    """
    if fit == "stretch":
        return 0, 0, *size
    ratios = size[0] / height, size[1] / width
    scale = min(ratios) if fit == "letterbox" else max(ratios)
    # a thin line keeps one pixel
    tall, wide = (max(1, round(height * scale)), max(1, round(width * scale)))
    return (size[0] - tall) // 2, (size[1] - wide) // 2, tall, wide


def render(pixels: np.ndarray, how: Recipe) -> tuple[np.ndarray, Box, bool]:
    """(CHW uint8, its box inside the frame, whether it was resized); padding is black."""
    pixels = with_channels(pixels, how.channels)
    height, width = pixels.shape[:2]
    size = how.size or (height, width)
    top, left, tall, wide = place(height, width, size, how.fit)
    resized = (tall, wide) != (height, width)
    if resized:
        image = Image.fromarray(pixels).resize((wide, tall), FILTERS[how.filter])
        pixels = np.asarray(image)
    if (tall, wide) != size:
        pixels = _framed(pixels, top, left, size)
    box = max(top, 0), max(left, 0), min(tall, size[0]), min(wide, size[1])
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), box, resized


def _framed(pixels: np.ndarray, top: int, left: int, size: tuple[int, int]) -> np.ndarray:
    """`pixels` with its corner at (top, left) of a black frame; what lies outside is cut off."""
    pixels = pixels[max(-top, 0) :, max(-left, 0) :][: size[0], : size[1]]
    frame = np.zeros((*size, *pixels.shape[2:]), np.uint8)
    top, left = max(top, 0), max(left, 0)
    frame[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return frame
