"""Encoders of cubes and autoencoders built on them, for pictures (2D) and volumes (3D).

A stage halves every side. `pool`: convolution of kernel 3, activation, max-pooling. `block`:
convolution of kernel 2 and stride 2, then one of kernel 3, with norm and its place, activation
between and skip each switched on its own, so that what a "residual block" gains can be told apart.

Shapes: B batch, C channels, S sizes (Y, X or Z, Y, X), D code.
Source: He et al. 2016, arXiv 1512.03385 (skip); Kingma & Welling 2014, arXiv 1312.6114.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from famulus.nets.autoencoder import Reconstruction
from famulus.nets.elbo import reparameterise
from famulus.nets.layers import CONV, TRANSPOSED, Reshape, Shape, activation, normalisation
from famulus.tasks.scroll.conv_pool import conv_pool

POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
# with a maximum a growing function may change places; silu and gelu fall before they rise
COMMUTES = ("none", "relu", "leaky_relu")  # with a maximum, values and gradients alike


@dataclass(frozen=True)
class Style:
    """How a stage is made. `mid`: the activation between the two convolutions of a block.

    `norm_at`: the norm follows a block's first convolution (mid) or its second (end), there before
    the skip is added.
    """

    stage: str = "pool"  # pool | block
    skip: bool = False
    norm: str = "none"
    mid: str = "none"
    act: str = "relu"
    norm_at: str = "mid"  # mid | end


class Stage(nn.Module):
    """B c S to B C S/2 (`up`: B C 2S), activation last unless `last`."""

    def __init__(
        self, c_in: int, c_out: int, dims: int, style: Style, up: bool = False, last: bool = False
    ) -> None:
        super().__init__()
        halve = (TRANSPOSED if up else CONV)[dims]
        norm = [] if last else normalisation(style.norm, c_out, dims)
        if last or (up and style.stage == "pool"):
            self.main = nn.Sequential(halve(c_in, c_out, 2, 2), *norm)
        elif style.stage == "pool":
            self.main = nn.Sequential(CONV[dims](c_in, c_out, 3, 1, 1), *norm)
        else:
            mid, end = (norm, []) if style.norm_at == "mid" else ([], norm)
            self.main = nn.Sequential(
                halve(c_in, c_out, 2, 2), *mid, activation(style.mid),
                CONV[dims](c_out, c_out, 3, 1, 1), *end,
            )  # fmt: skip
        straight = style.skip and style.stage == "block" and not last
        # a convolution, not the identity: the path must halve and widen as the main one does
        self.skip = halve(c_in, c_out, 2, 2) if straight else None
        self.act = nn.Identity() if last else activation(style.act)
        self.pool = POOL[dims](2) if style.stage == "pool" and not up and not last else None
        self.pool_first = style.act in COMMUTES  # the activation then sees an eighth of the map

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None and self.pool_first:
            alone = len(self.main) == 1
            pooled = conv_pool(x, self.main[0], self.pool) if alone else self.pool(self.main(x))
            return self.act(pooled)
        y = self.main(x)
        if self.skip is not None:
            y = y + self.skip(x)
        y = self.act(y)
        return y if self.pool is None else self.pool(y)


def planar(shape: Shape) -> bool:
    """Whether a cube (C, Z, Y, X) is one plane: what is built for it are the nets of pictures."""
    return len(shape) == 4 and shape[1] == 1


class CubeEncoder(nn.Module):
    """B C S to the features of each stage, each map half the size of the one before.

    Raises ValueError if a side can't be halved that often.
    """

    def __init__(self, shape: Shape, widths: Sequence[int], style: Style) -> None:
        super().__init__()
        if not widths or any(n % 2 ** len(widths) for n in shape[1:]):
            raise ValueError(
                f"{len(widths)} stages halve each side: expected sides divisible by "
                f"{2 ** len(widths)}, received {'x'.join(map(str, shape[1:]))}"
            )
        dims = len(shape) - 1
        self.stages = nn.ModuleList(
            Stage(a, b, dims, style) for a, b in zip([shape[0], *widths], widths, strict=False)
        )
        self.shapes: list[Shape] = [tuple(shape)]
        for width in widths:
            self.shapes.append((width, *(n // 2 for n in self.shapes[-1][1:])))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class CubeAutoencoder(nn.Module):
    """image BCS -> `Reconstruction`, any side that the stages can halve; `out` channels leave.

    A cube of one plane, BC1YX, comes and leaves as such, through the net of pictures.

    `widths` are those of the stages, as [32, 64, 128, 256]. With `variational` two heads read the
    flattened features; in eval mode z = mu, unless `noise` is given.
    """

    def __init__(
        self,
        shape: Shape,
        widths: Sequence[int] = (32, 64, 128, 256),
        code: int = 512,
        *,
        style: Style | None = None,
        variational: bool = True,
        out: int = 1,
        output: str = "none",
    ) -> None:
        super().__init__()
        self.shape, self.code, self.variational = tuple(shape), code, variational
        self.planar = planar(self.shape)
        shape = (shape[0], *shape[2:]) if self.planar else shape
        style, dims = style or Style(), len(shape) - 1
        self.encoder = CubeEncoder(shape, widths, style)
        deepest = self.encoder.shapes[-1]
        numbers = int(torch.tensor(deepest).prod())
        self.mu = nn.Linear(numbers, code)
        self.log_sigma = nn.Linear(numbers, code) if variational else None
        ups = [*reversed(widths[:-1]), out]
        self.decoder = nn.Sequential(
            nn.Linear(code, numbers),
            Reshape(deepest),
            *(
                Stage(a, b, dims, style, up=True, last=i == len(ups) - 1)
                for i, (a, b) in enumerate(zip([widths[-1], *ups], ups, strict=False))
            ),
        )
        self.output = activation(output)

    def encode(self, image: Tensor) -> Tensor:
        """The code that stands for `image` without noise: BD."""
        return self.mu(self._hidden(image))

    def decode(self, code_BD: Tensor) -> Tensor:
        raw = self.output(self.decoder(code_BD))
        return raw.unsqueeze(2) if self.planar else raw

    def _hidden(self, image: Tensor) -> Tensor:
        return self.encoder(image.squeeze(2) if self.planar else image)[-1].flatten(1)

    def forward(self, image: Tensor, noise: Tensor | None = None) -> Reconstruction:
        hidden = self._hidden(image)
        mu = self.mu(hidden)
        if self.log_sigma is None:
            return Reconstruction(self.decode(mu), mu)
        # float32 under autocast: exp(ln sigma) and its square overflow half precision
        mu, log_sigma = mu.float(), self.log_sigma(hidden).float()
        if noise is None and self.training:
            noise = torch.randn_like(mu)
        code = mu if noise is None else reparameterise(mu, log_sigma, noise)
        return Reconstruction(self.decode(code), code, mu, log_sigma)


def layer_table(net: nn.Module, shape: Shape) -> list[tuple[str, str, int]]:
    """(layer, shape that leaves it, parameters) for an input of `shape`, from a dry run on shapes
    alone: nothing is computed, whatever the size."""
    rows: list[tuple[str, str, int]] = []

    def note(name: str, module: nn.Module) -> None:
        def hook(_, __, out):
            own = sum(p.numel() for p in module.parameters())
            size = "x".join(map(str, out.shape[1:])) if isinstance(out, Tensor) else "-"
            rows.append((f"{name} {type(module).__name__}", size, own))

        module.register_forward_hook(hook)

    # a copy on "meta": shapes are known there without memory or time, and hooks don't stay
    twin = copy.deepcopy(net).to("meta").eval()
    for name, module in twin.named_modules():
        if not list(module.children()):
            note(name, module)
    with torch.no_grad():
        twin(torch.zeros(1, *shape, device="meta"))
    return rows
