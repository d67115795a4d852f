"""Convolutional autoencoder and variational autoencoder, for pictures (2D) and volumes (3D).

Encoder: a convolution and an activation per entry of `channels` (the last too), flatten, dropout,
Linear to the code. Decoder: Linear, the mirrored transposed convolutions, activations only
between them. With stride 1, no padding and ReLU it is the journal's base28 net.

Shapes: B batch, C channels, S the sizes (Y, X or Z, Y, X), D code.
Source: Kingma & Welling 2014, arXiv 1312.6114.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from famulus.nets.elbo import reparameterise
from famulus.nets.layers import (
    CONV,
    TRANSPOSED,
    Reshape,
    Shape,
    activation,
    conv_shapes,
    each,
    features,
    normalisation,
)


class Reconstruction(NamedTuple):
    """What a forward pass gives. `mu`, `log_sigma`: BD float32, None without a posterior."""

    raw: Tensor  # BCS, before the sigmoid where the loss applies one
    code: Tensor  # BD
    mu: Tensor | None = None
    log_sigma: Tensor | None = None
    log_scale: Tensor | None = None  # of the likelihood, where it is learned


class ConvEncoder(nn.Sequential):
    """BCS to B`out_features`; with `code` 0 the flattened features themselves."""

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int],
        code: int,
        *,
        kernel: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        norm: str = "none",
        act: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        n, dims = len(channels), len(shape) - 1
        if not n or dims not in CONV:
            raise ValueError(f"expected channels and (C, Y, X) or (C, Z, Y, X), received {shape}")
        kernels, strides = each(kernel, n, "kernel"), each(stride, n, "stride")
        paddings = each(padding, n, "padding")
        shapes = conv_shapes(shape, channels, kernels, strides, paddings)
        layers: list[nn.Module] = []
        for i in range(n):
            layers += [
                CONV[dims](shapes[i][0], channels[i], kernels[i], strides[i], paddings[i]),
                *normalisation(norm, channels[i], dims),
                activation(act),
            ]
        layers.append(nn.Flatten())
        if dropout:
            layers.append(nn.Dropout(dropout))
        if code:
            layers.append(nn.Linear(features(shapes[-1]), code))
        super().__init__(*layers)
        self.shapes, self.kernels, self.strides, self.paddings = shapes, kernels, strides, paddings
        self.out_features = code or features(shapes[-1])


class ConvDecoder(nn.Sequential):
    """BD to BCS: the mirror of `encoder`, whose shapes it retraces exactly at any stride."""

    def __init__(
        self, encoder: ConvEncoder, code: int, *, norm: str = "none", act: str = "relu"
    ) -> None:
        shapes, dims = encoder.shapes, len(encoder.shapes[0]) - 1
        layers: list[nn.Module] = [
            nn.Linear(code, features(shapes[-1])),
            Reshape(shapes[-1]),
        ]
        for i in reversed(range(len(shapes) - 1)):
            k, s, p = encoder.kernels[i], encoder.strides[i], encoder.paddings[i]
            # what a strided convolution cut off comes back at the far edge
            rest = [
                n - ((m - 1) * s - 2 * p + k)
                for n, m in zip(shapes[i][1:], shapes[i + 1][1:], strict=True)
            ]
            layers.append(TRANSPOSED[dims](shapes[i + 1][0], shapes[i][0], k, s, p, tuple(rest)))
            if i:
                layers += [*normalisation(norm, shapes[i][0], dims), activation(act)]
        super().__init__(*layers)


class Autoencoder(nn.Module):
    """image BCS -> `Reconstruction`. `variational` adds heads for mu and ln sigma.

    In training z = mu + sigma * noise; in eval mode z = mu, unless `noise` is given.
    heads: `code` puts them behind the Linear to the code, `features` directly on the features.
    """

    def __init__(
        self,
        shape: Shape,
        channels: Sequence[int] = (16, 24, 32),
        code: int = 128,
        *,
        variational: bool = False,
        heads: str = "code",
        kernel: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        norm: str = "none",
        act: str = "relu",
        dropout: float = 0.0,
        output: str = "none",
        learned_scale: bool = False,
    ) -> None:
        super().__init__()
        if code < 1:
            raise ValueError(f"expected a code of at least 1 number, received {code}")
        direct = variational and heads == "features"
        self.shape, self.code = tuple(shape), code
        self.encoder = ConvEncoder(
            shape,
            channels,
            0 if direct else code,
            kernel=kernel,
            stride=stride,
            padding=padding,
            norm=norm,
            act=act,
            dropout=dropout,
        )
        self.variational = variational
        if variational:
            self.mu = nn.Linear(self.encoder.out_features, code)
            self.log_sigma = nn.Linear(self.encoder.out_features, code)
        self.decoder = ConvDecoder(self.encoder, code, norm=norm, act=act)
        self.output = activation(output)
        # ln b or ln sigma of the likelihood; starts at the spread of an undecided net, 1/4 range
        self.log_scale = nn.Parameter(torch.tensor(0.25).log()) if learned_scale else None

    def encode(self, image: Tensor) -> Tensor:
        """The code that stands for `image` without noise: BD."""
        hidden = self.encoder(image)
        return self.mu(hidden) if self.variational else hidden

    def decode(self, code_BD: Tensor) -> Tensor:
        """Raw output BCS of a code."""
        return self.output(self.decoder(code_BD))

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Reconstruction:
        hidden = self.encoder(image)
        if not self.variational:
            return Reconstruction(self.decode(hidden), hidden, log_scale=self.log_scale)
        # In float32 under autocast too: exp(ln sigma) and the KL of small sigmas need the digits.
        mu, log_sigma = self.mu(hidden).float(), self.log_sigma(hidden).float()
        if noise is None and self.training:
            noise = torch.randn_like(mu)
        code = mu if noise is None else reparameterise(mu, log_sigma, noise)
        return Reconstruction(self.decode(code), code, mu, log_sigma, self.log_scale)
