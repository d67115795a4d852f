"""Named scalings of pictures, stored with the model, so that nothing can be drawn with another.

Shapes: image_BC... in grey ranges 0..1, mask B1... (1 = real) or None, statistics C.
Every scaling is affine: x = (image - shift) / factor, and padding becomes 0.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

NAMES = ("unit", "clamped", "centred", "standard", "per-sample")
WITHIN_UNIT = ("unit", "clamped")  # what a cross-entropy may have as its target
# a target of exactly 0 or 1 asks for an infinite logit
EPS = 1e-3  # of `clamped`
# a picture of one colour has none
LEAST = 1e-3  # smallest standard deviation divided by, in grey ranges


@dataclass(frozen=True)
class Scaled:
    """Scaled pictures, and how to go back."""

    x: Tensor
    shift: Tensor  # broadcasts against x
    factor: Tensor

    def inverse(self, x: Tensor) -> Tensor:
        """Grey ranges of anything in this scale."""
        return x * self.factor + self.shift


class Scaling(nn.Module):
    """`unit` 0..1 · `clamped` eps..1-eps · `centred` -1..1 · `standard` mean 0 and deviation 1 over
    the training set, each channel · `per-sample` the same over each picture's own real pixels.

    The training set's statistics are buffers, so they lie in every checkpoint. Raises ValueError
    if the name is unknown.
    """

    def __init__(self, name: str, mean_C: Tensor, std_C: Tensor) -> None:
        super().__init__()
        if name not in NAMES:
            raise ValueError(f"expected a scaling of {', '.join(NAMES)}, received {name!r}")
        self.name = name
        self.register_buffer("mean_C", mean_C.float())
        self.register_buffer("std_C", std_C.float().clamp(min=LEAST))

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Scaled:
        shift, factor = self.statistics(image, mask)
        x = (image - shift) / factor
        # 0 in every scaling: padding looks alike to the net
        return Scaled(x if mask is None else x * mask, shift, factor)

    def statistics(self, image: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """shift and factor, broadcastable against `image`."""
        if self.name == "per-sample":
            return _own(image, mask)
        shift, factor = {
            "unit": (0.0, 1.0),
            "clamped": (-EPS / (1 - 2 * EPS), 1 / (1 - 2 * EPS)),
            "centred": (0.5, 0.5),
            "standard": (0.0, 1.0),
        }[self.name]
        if self.name == "standard":
            wide = (1, -1, *[1] * (image.ndim - 2))
            return self.mean_C.view(wide), self.std_C.view(wide)
        return image.new_tensor(shift), image.new_tensor(factor)

    def inverse(self, x: Tensor) -> Tensor:
        """Grey ranges of pictures that come from no picture: samples, codes.

        `per-sample` falls back on the training set's statistics.
        """
        if self.name in ("per-sample", "standard"):
            wide = (1, -1, *[1] * (x.ndim - 2))
            return x * self.std_C.view(wide) + self.mean_C.view(wide)
        shift, factor = self.statistics(x)
        return x * factor + shift


def _own(image: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each picture, all channels together, over its real pixels: B1...."""
    axes = tuple(range(1, image.ndim))
    weight = torch.ones_like(image) if mask is None else mask.expand_as(image)
    count = weight.sum(axes, keepdim=True).clamp(min=1)
    mean = (image * weight).sum(axes, keepdim=True) / count
    variance = ((image - mean).square() * weight).sum(axes, keepdim=True) / count
    return mean, variance.sqrt().clamp(min=LEAST)


class Moments:
    """Mean and deviation of each channel over real pixels, batch by batch, in float64."""

    def __init__(self) -> None:
        self.sums: Tensor | None = None  # count, sum, sum of squares: 3 x C

    def add(self, image: Tensor, mask: Tensor | None = None) -> None:
        # In float64: a variance as the difference of two large sums loses most digits.
        image = image.double().cpu()
        weight = torch.ones_like(image) if mask is None else mask.double().cpu().expand_as(image)
        axes = (0, *range(2, image.ndim))
        now = torch.stack(
            [weight.sum(axes), (image * weight).sum(axes), (image.square() * weight).sum(axes)]
        )
        self.sums = now if self.sums is None else self.sums + now

    def result(self) -> tuple[Tensor, Tensor]:
        """mean_C and std_C. Raises ValueError if nothing was added."""
        if self.sums is None:
            raise ValueError("expected at least one picture, received none")
        count, total, squares = self.sums
        mean = total / count.clamp(min=1)
        return mean, (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
