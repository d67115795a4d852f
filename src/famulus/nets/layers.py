"""Building blocks of convolutional encoders and decoders, for pictures and volumes alike.

Shapes: C channels, then the sizes (Y, X) or (Z, Y, X); a shape is given without the batch.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]  # (C, *sizes)

CONV: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM: dict[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}

ACTIVATIONS: dict[str, Any] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
NORMS = ("none", "batch", "group", "instance")


def activation(name: str) -> nn.Module:
    """A fresh activation by name. Raises ValueError with the list."""
    if name not in ACTIVATIONS:
        raise ValueError(f"expected one of {', '.join(ACTIVATIONS)}, received {name!r}")
    return ACTIVATIONS[name]()


def normalisation(name: str, channels: int, dims: int) -> list[nn.Module]:
    """No layer or one. Groups: the largest number up to 8 that divides the channels."""
    if name == "none":
        return []
    if name == "batch":
        return [BATCH_NORM[dims](channels)]
    if name == "instance":
        # affine as the other two norms are: torch leaves it out here
        return [INSTANCE_NORM[dims](channels, affine=True)]
    if name == "group":
        return [nn.GroupNorm(max(g for g in range(1, 9) if channels % g == 0), channels)]
    raise ValueError(f"expected one of {', '.join(NORMS)}, received {name!r}")


def each(value: int | Sequence[int], count: int, what: str) -> list[int]:
    """One number a layer: a single number is repeated. Raises ValueError on a wrong length."""
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        raise ValueError(f"{what}: expected {count} numbers, one a layer, received {values}")
    return values


def conv_shapes(
    shape: Shape, channels: Sequence[int], kernel: list[int], stride: list[int], padding: list[int]
) -> list[Shape]:
    """Shape before the first conv and after each: n' = (n + 2 p - k) // s + 1.

    Raises ValueError if a kernel does not fit, so that a net that can't exist is never built.
    """
    shapes = [tuple(shape)]
    rows = enumerate(zip(channels, kernel, stride, padding, strict=True), 1)
    for layer, (out, k, s, p) in rows:
        sizes = shapes[-1][1:]
        if min(sizes) + 2 * p < k:
            raise ValueError(
                f"conv {layer} of {len(channels)} needs at least {k} pixels a side, receives "
                f"{'x'.join(map(str, sizes))} (input {'x'.join(map(str, shape[1:]))}): "
                "use larger images, fewer channels entries, a smaller kernel or padding"
            )
        shapes.append((out, *((n + 2 * p - k) // s + 1 for n in sizes)))
    return shapes


def features(shape: Shape) -> int:
    """Numbers in one sample of this shape."""
    return math.prod(shape)


class Reshape(nn.Module):
    """(B, F) to (B, *shape)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        # not len(x): a traced graph would take the batch for a constant
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        return "x".join(map(str, self.shape))


@torch.no_grad()
def parameters(module: nn.Module) -> int:
    """How many numbers are trained; shared ones count once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
