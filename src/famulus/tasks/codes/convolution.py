"""Convolutional encoders and decoders for pictures and volumes, from one code path.

Shapes: B C ... where ... is Y X or Z Y X. A "factor" f is the ratio of a picture's side to the
grid's. Plain stacks follow the layout that people type by hand; residual ones are the default.
"""

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
# 0.3 is the slope of the framework that the journal's nets were written in.
ACTIVATIONS = {"relu": nn.ReLU, "leaky-relu": lambda: nn.LeakyReLU(0.3), "silu": nn.SiLU}
OUTPUTS = {"none": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


@dataclass(frozen=True)
class Convolution:
    """One convolution of a plain stack, and of its mirror."""

    filters: int
    kernel: int
    stride: int = 1

    def padding(self) -> tuple[int, int]:
        """Padding that divides the side by the stride exactly, and the mirror's extra pixel.

        Raises ValueError where no such padding exists (an even kernel with stride 1).
        """
        # sides must divide exactly: the mirror leads back to the same picture
        pad = (self.kernel - self.stride + 1) // 2
        extra = self.stride - self.kernel + 2 * pad
        if pad < 0 or not 0 <= extra < self.stride:
            raise ValueError(
                "expected a kernel that a stride divides evenly (odd for stride 1), "
                f"received kernel {self.kernel} with stride {self.stride}"
            )
        return pad, extra


def he_normal(module: nn.Module) -> None:
    """Kernels of every convolution from N(0, 2 / fan-in), biases 0; dense layers stay.

    The heads of a VAE keep their small start: of He's width they begin with a KL of 100 nats.
    Source: He et al. 2015, arXiv 1502.01852.
    """
    for part in module.modules():
        if isinstance(part, (*CONV.values(), *TRANSPOSED.values())):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def plain_encoder(
    channels: int, layers: list[Convolution], activation: str, last_activation: bool, space: int = 2
) -> nn.Sequential:
    """Convolutions with an activation after all but the first; after the last only if asked."""
    parts: list[nn.Module] = []
    for i, layer in enumerate(layers):
        pad, _ = layer.padding()
        parts.append(CONV[space](channels, layer.filters, layer.kernel, layer.stride, pad))
        last = i == len(layers) - 1
        if i > 0 and (last_activation or not last):
            parts.append(ACTIVATIONS[activation]())
        channels = layer.filters
    return nn.Sequential(*parts)


def plain_decoder(
    width: int, layers: list[Convolution], activation: str, channels: int, space: int = 2
) -> nn.Sequential:
    """The mirror of `plain_encoder`: transposed convolutions, then a linear one of kernel 3."""
    parts: list[nn.Module] = []
    for layer in reversed(layers):
        pad, extra = layer.padding()
        parts.append(
            TRANSPOSED[space](width, layer.filters, layer.kernel, layer.stride, pad, extra)
        )
        parts.append(ACTIVATIONS[activation]())
        width = layer.filters
    return nn.Sequential(*parts, CONV[space](width, channels, 3, 1, 1))


class PreactivationBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))): the same shape."""

    def __init__(self, width: int, space: int) -> None:
        super().__init__()
        conv = CONV[space]
        self.body = nn.Sequential(
            _norm(width), nn.SiLU(), conv(width, width, 3, 1, 1),
            _norm(width), nn.SiLU(), conv(width, width, 3, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def _norm(width: int) -> nn.GroupNorm:
    groups = next(g for g in (8, 4, 2, 1) if width % g == 0)
    return nn.GroupNorm(groups, width)


class _OfPatches(nn.Module):
    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch


class Fold(_OfPatches):
    """Space to channels: every patch of side p becomes one place with p^n as many channels."""

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, *space = x.shape
        n, p = len(space), self.patch
        x = x.reshape(batch, channels, *(part for side in space for part in (side // p, p)))
        order = [0, 1, *(3 + 2 * i for i in range(n)), *(2 + 2 * i for i in range(n))]
        return x.permute(order).reshape(batch, channels * p**n, *(side // p for side in space))


class Unfold(_OfPatches):
    """Channels to space: the inverse of `Fold`."""

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, *space = x.shape
        n, p = len(space), self.patch
        x = x.reshape(batch, channels // p**n, *[p] * n, *space)
        order = [0, 1, *(axis for i in range(n) for axis in (2 + n + i, 2 + i))]
        return x.permute(order).reshape(batch, channels // p**n, *(side * p for side in space))


def residual_encoder(
    channels: int, widths: list[int], blocks: int, space: int = 2, patch: int = 1
) -> nn.Sequential:
    """Factor f = patch * 2^(len(widths) - 1), with `blocks` residual blocks before each halving."""
    conv = CONV[space]
    parts: list[nn.Module] = [Fold(patch)] if patch > 1 else []
    parts.append(conv(channels * patch**space, widths[0], 3, 1, 1))
    for width, wider in pairwise(widths):
        parts += [PreactivationBlock(width, space) for _ in range(blocks)]
        parts.append(conv(width, wider, 4, 2, 1))
    parts += [PreactivationBlock(widths[-1], space) for _ in range(blocks)]
    return nn.Sequential(*parts, _norm(widths[-1]), nn.SiLU())


def residual_decoder(
    width: int, widths: list[int], blocks: int, channels: int, space: int = 2, patch: int = 1
) -> nn.Sequential:
    """Mirror of `residual_encoder`: nearest upsampling, so that no checkerboard appears."""
    conv = CONV[space]
    parts: list[nn.Module] = [conv(width, widths[-1], 3, 1, 1)]
    for wider, narrow in pairwise(reversed(widths)):
        parts += [PreactivationBlock(wider, space) for _ in range(blocks)]
        parts += [nn.Upsample(scale_factor=2), conv(wider, narrow, 3, 1, 1)]
    parts += [PreactivationBlock(widths[0], space) for _ in range(blocks)]
    parts += [_norm(widths[0]), nn.SiLU(), conv(widths[0], channels * patch**space, 3, 1, 1)]
    return nn.Sequential(*parts, *([Unfold(patch)] if patch > 1 else []))


def output_shape(net: nn.Module, channels: int, sides: tuple[int, ...]) -> tuple[int, ...]:
    """(width, *sides) of what leaves a net, worked out on shapes alone: nothing is computed."""
    # a copy: the net itself would lose its weights there
    twin = copy.deepcopy(net).to("meta")
    with torch.no_grad():
        return tuple(twin(torch.zeros(1, channels, *sides, device="meta")).shape[1:])
