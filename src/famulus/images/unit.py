"""Grey values of pictures: as they are held (bytes, or float32 in 0..1), and as nets see them."""

import numpy as np
import torch
from torch import Tensor

STRIP = 1 << 20  # values worked on at once in float64


def as_unit(image: Tensor) -> Tensor:
    """float32 in 0..1 of an image that is held as uint8, or in 0..1 already."""
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()


def as_levels(image: Tensor) -> Tensor:
    """float32 in grey levels, 0..255, of an image that is held as uint8 or in 0..1."""
    return image.float() if image.dtype == torch.uint8 else image.float() * 255


def scaled(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """float32: (pixels - low) / (high - low), cut off at 0 and 1; worked out in float64."""
    result = np.empty(pixels.shape, np.float32)
    # in strips, and not in float32: of 32 bits the lowest 8 would be lost before the difference
    rows = max(1, STRIP // max(1, pixels[:1].size))
    for start in range(0, len(pixels), rows):
        piece = pixels[start : start + rows].astype(np.float64)
        result[start : start + rows] = ((piece - low) / (high - low)).clip(0, 1)
    return result


def outside(pixels: np.ndarray, low: float, high: float) -> int:
    """How many values `scaled` cuts off."""
    return int(np.count_nonzero(pixels < low) + np.count_nonzero(pixels > high))
