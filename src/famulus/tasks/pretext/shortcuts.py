"""What a pretext could be solved by without seeing what a picture shows, taken away.

A trained net is scored again on pictures without it: the accuracy that is lost came from there (or
from a net that never saw such pictures: train without it, `data.without`, to tell these apart).
Shapes: B samples, C channels, Y X pixels; a box is (top, left, height, width).
Source: Doersch et al. 2015, arXiv 1505.05192 (colour fringes, low-level cues, patch borders).
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from famulus.images.views import greyscale

CONTROLS = ("colour", "detail", "seam")


def without_colour(image_BCYX: Tensor) -> Tensor:
    """Luma in every channel: no colour, and no colour fringes that tell a place in the frame."""
    return greyscale(image_BCYX)


def without_detail(image_BCYX: Tensor, factor: int = 2) -> Tensor:
    """Averaged to 1/factor of the size and enlarged again: every picture, mixed, pasted, enlarged
    or not, has the same history of resampling and compression."""
    size = list(image_BCYX.shape[2:])
    # a picture of one or two pixels would be nothing else than its mean
    small = avg_pool2d(image_BCYX, factor) if min(size) >= 2 * factor else image_BCYX
    return interpolate(small, size=size, mode="bilinear", align_corners=False)


def without_seam(image_BCYX: Tensor, box_B4: Tensor, width: int = 2) -> Tensor:
    """A frame of `width` pixels on both sides of the box's border, in the picture's mean colour."""
    top, left, high, wide = box_B4.to(image_BCYX.device)[:, :, None].unbind(1)
    y_Y = torch.arange(image_BCYX.shape[2], device=image_BCYX.device)[None]
    x_X = torch.arange(image_BCYX.shape[3], device=image_BCYX.device)[None]

    def within(grow: int) -> Tensor:
        rows = (y_Y >= top - grow) & (y_Y < top + high + grow)
        columns = (x_X >= left - grow) & (x_X < left + wide + grow)
        return rows[:, :, None] & columns[:, None, :]

    frame_B1YX = (within(width) & ~within(-width))[:, None]
    # the mean, not black: a new edge would be another seam
    return torch.where(frame_B1YX, image_BCYX.mean((2, 3), keepdim=True), image_BCYX)


def take_away(name: str, image: Tensor, box_B4: Tensor | None = None) -> Tensor:
    """`image` BCYX or BNCYX without `name`. Raises ValueError for a seam without a box."""
    if name == "seam":
        if box_B4 is None:
            raise ValueError("seam: expected a pretext that pastes a patch, received none")
        return without_seam(image, box_B4)
    work = {"colour": without_colour, "detail": without_detail}[name]
    if image.ndim == 5:
        return work(image.flatten(0, 1)).view_as(image)
    return work(image)
