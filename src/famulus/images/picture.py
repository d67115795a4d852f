"""One picture: from a file's bytes to the values that it stores, and from those to a net's size.

Shapes: H W height and width, C channels. Pillow does the resampling, so `bilinear`, `bicubic` and
`lanczos` are antialiased when they make a picture smaller, and `nearest` is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from famulus.config.errors import ConfigError, DataError
from famulus.images.decoding import GROUNDS, Ground
from famulus.images.unit import scaled

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
FITS = ("stretch", "letterbox", "crop")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Box = tuple[int, int, int, int]  # top, left, height, width of the picture inside its frame


@dataclass(frozen=True)
class Recipe:
    """How pictures become samples. `size` (H, W), `channels` 1 or 3; None keeps what is there.

    `range`: the stored values that become 0 and 1; None: 8 bits are kept as they are. `of_bytes`:
    whether it holds for pictures of 8 bits, too, as where all of a set are. `ground`: what
    transparency was laid on before.
    """

    size: tuple[int, int] | None
    filter: str
    channels: int | None
    fit: str
    range: tuple[float, float] | None = None
    of_bytes: bool = False
    ground: Ground = "black"

    @property
    def scale(self) -> dict[str, Any]:
        """What becomes of stored values, as plain JSON: pictures that join a set need it."""
        limits = self.range and list(self.range)
        return {"range": limits, "of_bytes": self.of_bytes, "ground": self.ground}

    def scaled_by(self, scale: Mapping[str, Any]) -> "Recipe":
        """This form with the `scale` of a set; {} is of one of 8 bits."""
        limits = scale.get("range")
        return replace(
            self,
            range=limits and tuple(limits),
            of_bytes=bool(scale.get("of_bytes")),
            ground=scale.get("ground", "black"),
        )


def recipe(
    size: Any,
    filter: str,
    channels: int | None,
    fit: str,
    range: Any = None,
    ground: Ground = "black",
) -> Recipe:
    """A checked `Recipe`; `size` is null, one number (square) or [height, width].

    Raises ConfigError naming the field and what is allowed.
    """
    if filter not in FILTERS:
        raise ConfigError(f"data.filter: expected one of {', '.join(FILTERS)}, received {filter!r}")
    if fit not in FITS:
        raise ConfigError(f"data.fit: expected one of {', '.join(FITS)}, received {fit!r}")
    if ground not in GROUNDS:
        raise ConfigError(f"data.background: expected black or white, received {ground!r}")
    if channels not in (None, 1, 3):
        raise ConfigError(f"data.channels: expected 1, 3 or null, received {channels!r}")
    pair = size if isinstance(size, list | tuple) else (size, size)
    if size is not None and (
        len(pair) != 2 or not all(type(n) is int and 1 <= n <= 8192 for n in pair)
    ):
        raise ConfigError(
            f"data.size: expected null, pixels or [height, width] of 1 to 8192, received {size!r}"
        )
    form = None if size is None else (pair[0], pair[1])
    return Recipe(form, filter, channels, fit, checked_range(range), ground=ground)


def checked_range(range: Any) -> tuple[float, float] | None:
    """Two finite numbers, the lower first. Raises ConfigError."""
    if range is None:
        return None
    pair = tuple(range) if isinstance(range, list | tuple) else ()
    numbers = [v for v in pair if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not -np.inf < pair[0] < pair[1] < np.inf:
        raise ConfigError(f"data.range: expected null or [low, high], received {range!r}")
    return float(pair[0]), float(pair[1])


def unit(pixels: np.ndarray, how: Recipe) -> np.ndarray:
    """float32 in 0..1: 8 bits by 255, deeper ones by the range; 16 bits without one by 65535.

    Raises DataError for other deep pictures if there is no range.
    """
    if pixels.dtype == np.uint8 and not (how.range and how.of_bytes):
        return scaled(pixels, 0, 255)
    if how.range:
        return scaled(pixels, *how.range)
    if pixels.dtype == np.uint16:
        return scaled(pixels, 0, 65535)
    raise DataError(
        f"values of {pixels.dtype}: expected 8 or 16 bits, as data.range says nothing of them"
    )


def with_channels(pixels: np.ndarray, channels: int | None) -> np.ndarray:
    """HW for one channel, HWC for three; grey is luma .299 R + .587 G + .114 B, bytes rounded."""
    if channels == 1 and pixels.ndim == 3:
        if pixels.dtype != np.uint8:
            return pixels @ LUMA
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
    """(CHW, its box inside the frame, whether it was resized); padding is black.

    uint8 for 8 bits without a range, else float32 in 0..1.
    """
    if how.range or pixels.dtype != np.uint8:
        pixels = unit(pixels, how)
    pixels = with_channels(pixels, how.channels)
    height, width = pixels.shape[:2]
    size = how.size or (height, width)
    top, left, tall, wide = place(height, width, size, how.fit)
    resized = (tall, wide) != (height, width)
    if resized:
        pixels = _resized(pixels, tall, wide, how.filter)
    if (tall, wide) != size:
        pixels = _framed(pixels, top, left, size)
    box = max(top, 0), max(left, 0), min(tall, size[0]), min(wide, size[1])
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1), box, resized


def _resized(pixels: np.ndarray, tall: int, wide: int, filter: str) -> np.ndarray:
    def by_pillow(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((wide, tall), FILTERS[filter]))

    if pixels.dtype == np.uint8:
        return by_pillow(pixels)
    if pixels.ndim == 2:
        planes = by_pillow(pixels)
    else:  # Pillow has no floating point colours
        channels = range(pixels.shape[2])
        planes = np.stack([by_pillow(np.ascontiguousarray(pixels[..., c])) for c in channels], -1)
    # bicubic and lanczos overshoot at edges; of bytes Pillow cuts that off itself
    return planes.clip(0, 1)


def _framed(pixels: np.ndarray, top: int, left: int, size: tuple[int, int]) -> np.ndarray:
    """`pixels` with its corner at (top, left) of a black frame; what lies outside is cut off."""
    pixels = pixels[max(-top, 0) :, max(-left, 0) :][: size[0], : size[1]]
    frame = np.zeros((*size, *pixels.shape[2:]), pixels.dtype)
    top, left = max(top, 0), max(left, 0)
    frame[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return frame
