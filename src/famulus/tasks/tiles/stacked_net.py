"""Autoencoders grown one layer at a time, and the space-to-depth baseline beside them.

`StackedAutoencoder`: `convs` 3x3 convolutions (stride 1, unpadded) and a Linear to the code, each
mirrored in the decoder. Layers 0..i are active; the rest wait, without a gradient. Weights are
tied (one tensor for a layer and its mirror, as in W and W^T) or free; biases never are.
Leaky ReLU after each convolution and each mirrored layer, the reconstruction included; the code
itself is linear. Until the Linear joins, the "code" is the feature map of the last active layer.

Shapes: B batch, C channels, Y X sizes, D code.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.nets.autoencoder import Reconstruction

Shape = tuple[int, int, int]


def active_for(inputs: int, every_inputs: int, together: int = 1) -> int:
    """Layers that are active after `inputs` examples: 1 at the start, then `together` more each
    `every_inputs`. Not limited: `set_active` is told by `min(..., model.layers)`."""
    if every_inputs < 1 or together < 1:
        raise ValueError(
            f"expected every_inputs >= 1 and together >= 1, received {every_inputs=}, {together=}"
        )
    return 1 + inputs // every_inputs * together


class Parameters(NamedTuple):
    """Counts of numbers to train."""

    tied: int
    free: int


class _Mirrored(nn.Module):
    """A layer and its mirror. `mirror` is None when the weight is tied."""

    def __init__(self, weight: Tensor, outputs: int, inputs: int, tied: bool) -> None:
        super().__init__()
        fan_in = weight[0].numel()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(outputs))
        self.mirror = None if tied else nn.Parameter(torch.empty_like(weight))
        self.mirror_bias = nn.Parameter(torch.empty(inputs))
        # PyTorch's own start for Linear and Conv2d: uniform within 1 / sqrt(fan in)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5)

    @property
    def back(self) -> Tensor:
        return self.weight if self.mirror is None else self.mirror


class _Conv(_Mirrored):
    def __init__(self, inputs: int, outputs: int, tied: bool) -> None:
        super().__init__(torch.empty(outputs, inputs, 3, 3), outputs, inputs, tied)

    def encode(self, x_BCYX: Tensor) -> Tensor:
        return F.leaky_relu(F.conv2d(x_BCYX, self.weight, self.bias))

    def decode(self, x_BCYX: Tensor) -> Tensor:
        return F.leaky_relu(F.conv_transpose2d(x_BCYX, self.back, self.mirror_bias))


class _Code(_Mirrored):
    def __init__(self, shape: Shape, code: int, tied: bool) -> None:
        features = shape[0] * shape[1] * shape[2]
        super().__init__(torch.empty(code, features), code, features, tied)
        self.shape = shape

    def encode(self, x_BCYX: Tensor) -> Tensor:
        return F.linear(x_BCYX.flatten(1), self.weight, self.bias)

    def decode(self, z_BD: Tensor) -> Tensor:
        return F.leaky_relu(F.linear(z_BD, self.back.T, self.mirror_bias)).unflatten(1, self.shape)


class StackedAutoencoder(nn.Module):
    """image BCYX -> `Reconstruction`, through the first `active` layers and their mirrors.

    The number of active layers is a buffer: a checkpoint carries it.
    Raises ValueError if the picture is too small for `convs` unpadded convolutions.
    """

    active: Tensor

    def __init__(
        self,
        shape: Shape = (3, 64, 64),
        channels: int = 32,
        convs: int = 25,
        code: int = 128,
        tied: bool = True,
    ) -> None:
        super().__init__()
        if min(shape[1:]) <= 2 * convs or min(convs, channels, code) < 1:
            raise ValueError(
                f"expected sizes above 2 * convs, and at least one conv, channel and code number, "
                f"received {shape=}, {convs=}, {channels=}, {code=}"
            )
        self.shape, self.code, self.tied = tuple(shape), code, tied
        ends: Shape = (channels, shape[1] - 2 * convs, shape[2] - 2 * convs)
        stack = [_Conv(channels if k else shape[0], channels, tied) for k in range(convs)]
        self.stack = nn.ModuleList([*stack, _Code(ends, code, tied)])
        self.register_buffer("active", torch.tensor(1))
        self._seen: tuple[Tensor, int, int] | None = None

    @property
    def layers(self) -> int:
        """All layers of the encoder: the convolutions and the Linear."""
        return len(self.stack)

    def set_active(self, n: int) -> None:
        """Layers 0..n-1 take part from now on. Raises ValueError outside 1..layers."""
        if not 1 <= n <= self.layers:
            raise ValueError(f"expected 1 to {self.layers} active layers, received {n}")
        # in place: the buffer's version counts it, see `active_count`
        self.active.fill_(n)

    def active_count(self) -> int:
        """The buffer as a number; the device is asked only after the buffer has changed."""
        # reading a number from a device waits for it; the version counter does not
        version = self.active._version
        if self._seen is None or self._seen[0] is not self.active or self._seen[1] != version:
            self._seen = (self.active, version, int(self.active))
        return self._seen[2]

    def code_shape(self, active: int | None = None) -> tuple[int, ...]:
        """What lies between encoder and decoder with `active` layers (None: as now)."""
        n = self.active_count() if active is None else active
        if n == self.layers:
            return (self.code,)
        return (self.stack[0].bias.numel(), self.shape[1] - 2 * n, self.shape[2] - 2 * n)

    def encode(self, x_BCYX: Tensor) -> Tensor:
        """(B, *code_shape())"""
        for layer in self.stack[: self.active_count()]:
            x_BCYX = layer.encode(x_BCYX)
        return x_BCYX

    def decode(self, code: Tensor) -> Tensor:
        """(B, *code_shape()) -> BCYX"""
        for layer in reversed(self.stack[: self.active_count()]):
            code = layer.decode(code)
        return code

    def forward(self, image: Tensor) -> Reconstruction:
        code = self.encode(image)
        return Reconstruction(self.decode(code), code.flatten(1))

    def parameters_by_tying(self) -> Parameters:
        """How many numbers this net has with tied weights, and with free ones."""
        weights = sum(layer.weight.numel() for layer in self.stack)
        biases = sum(layer.bias.numel() + layer.mirror_bias.numel() for layer in self.stack)
        return Parameters(weights + biases, 2 * weights + biases)


def growth(
    model: StackedAutoencoder, inputs: int, every_inputs: int, together: int = 1
) -> str | None:
    """Lets the layers join that are due after `inputs` examples; what joined, in a few words."""
    n = min(active_for(inputs, every_inputs, together), model.layers)
    if n <= model.active_count():
        return None
    model.set_active(n)
    numbers = math.prod(model.code_shape())
    return f"layer {n} of {model.layers}: code of {numbers:,}"


def grown_after(model: StackedAutoencoder, every_inputs: int, together: int = 1) -> int:
    """Examples until the last layer has joined."""
    return math.ceil((model.layers - 1) / together) * every_inputs


def counts(model: StackedAutoencoder) -> dict[str, int]:
    """`parameters_tied` and `parameters_free`: of this net in both forms."""
    both = model.parameters_by_tying()
    return {"parameters_tied": both.tied, "parameters_free": both.free}


class SpaceToDepthAutoencoder(nn.Module):
    """The baseline: each stage folds 2x2 pixels into channels (exact, no loss) and mixes them.

    A stage is pixel-unshuffle, a padded 3x3 convolution and a leaky ReLU; the decoder mirrors it
    with pixel-shuffle; a Linear makes the code. Raises ValueError unless 2^stages divides sizes.
    """

    def __init__(
        self, shape: Shape = (3, 64, 64), channels: int = 32, stages: int = 3, code: int = 128
    ) -> None:
        super().__init__()
        fold = 2**stages
        if shape[1] % fold or shape[2] % fold or min(stages, channels, code) < 1:
            raise ValueError(f"expected sizes divisible by {fold}, received {shape=}, {stages=}")
        self.shape, self.code = tuple(shape), code
        ends = (channels, shape[1] // fold, shape[2] // fold)
        features = ends[0] * ends[1] * ends[2]
        down: list[nn.Module] = []
        up: list[nn.Module] = [nn.Linear(code, features), nn.Unflatten(1, ends), nn.LeakyReLU()]
        for k in range(stages):
            inside = channels if k else shape[0]
            down += [nn.PixelUnshuffle(2), nn.Conv2d(4 * inside, channels, 3, padding=1)]
            down.append(nn.LeakyReLU())
        for k in reversed(range(stages)):
            outside = channels if k else shape[0]
            up += [nn.Conv2d(channels, 4 * outside, 3, padding=1), nn.PixelShuffle(2)]
            up += [nn.LeakyReLU()] if k else []
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(features, code))
        self.decoder = nn.Sequential(*up)

    def encode(self, x_BCYX: Tensor) -> Tensor:
        return self.encoder(x_BCYX)

    def decode(self, z_BD: Tensor) -> Tensor:
        return self.decoder(z_BD)

    def forward(self, image: Tensor) -> Reconstruction:
        code = self.encode(image)
        return Reconstruction(self.decode(code), code)
