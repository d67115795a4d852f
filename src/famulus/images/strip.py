"""Rows of a picture: images side by side as uint8, never stretched to their own range.

Shapes: B batch, C 1 or 3 channels, Y X; a strip is (Y, B * X, 3).
"""

import numpy as np
import torch
from torch import Tensor


def strip(image_BCYX: Tensor) -> np.ndarray:
    """Grey or RGB images in 0..1 side by side: uint8 (Y, B * X, 3). What is outside is cut off."""
    rgb_B3YX = image_BCYX.detach().float().cpu().clamp(0, 1).expand(-1, 3, -1, -1)
    bytes_B3YX = (rgb_B3YX * 255).round().to(torch.uint8)
    return bytes_B3YX.permute(2, 0, 3, 1).flatten(1, 2).contiguous().numpy()


def difference(image: Tensor, target: Tensor, times: float = 3.0) -> Tensor:
    """Mid-grey where both agree, brighter where `image` is too bright, times `times`."""
    return 0.5 + 0.5 * times * (image.float() - target.float())
