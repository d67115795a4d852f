"""Pictures that a person has as tensors, checked and passed on in portions.

Shapes: C Y X one picture, B C Y X several. Units: grey ranges 0..1 as floats, or uint8 0..255.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from famulus.config.errors import DataError

AT_ONCE = 64  # pictures that a net sees together: what is in memory does not grow with the input


def over_pictures(
    change: Callable[[Tensor], Tensor],
    pictures: Tensor,
    shape: Sequence[int],
    at_once: int = AT_ONCE,
) -> Tensor:
    """`change` of BCYX in 0..1, for pictures of `shape` C Y X: one in, one out; a batch, a batch.

    Raises DataError for another shape or another range: nothing is resized or rescaled here.
    """
    batch = pictures[None] if pictures.ndim == 3 else pictures
    if batch.ndim != 4 or tuple(batch.shape[1:]) != tuple(shape) or not len(batch):
        by = " x ".join(map(str, shape))
        raise DataError(
            f"apply: expected pictures of {by} (channels, rows, columns) or a batch of them,"
            f" received shape {tuple(pictures.shape)}"
        )
    made = torch.cat([change(_grey(part)) for part in batch.split(at_once)])
    return made[0] if pictures.ndim == 3 else made


def _grey(pictures: Tensor) -> Tensor:
    if pictures.dtype == torch.uint8:
        return pictures / 255
    if not pictures.is_floating_point():
        raise DataError(f"apply: expected uint8 or floats in 0..1, received {pictures.dtype}")
    low, high = float(pictures.min()), float(pictures.max())
    # not (a and b): NaN fails both comparisons and is caught as well
    if not (low >= 0 and high <= 1):
        raise DataError(f"apply: expected floats in 0..1, received {low:.3g} to {high:.3g}")
    return pictures.float()
