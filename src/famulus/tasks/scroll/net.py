"""The `model` section of task scroll, and the net that it names."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from famulus.config.schema import Strict, added
from famulus.tasks.scroll.cubes_net import CubeAutoencoder, Style
from famulus.tasks.scroll.ink_net import InkNet, logit

Activation = Literal["none", "relu", "leaky_relu", "gelu", "silu", "mish", "elu"]


class ScrollModel(Strict):
    """autoencoder, vae: rebuild the cube. joint: a vae whose second channel is ink. cube: the same
    net with ink as its only target. ink: encoder, depth pooled, coarse logits."""

    kind: Literal["autoencoder", "vae", "joint", "cube", "ink"] = "vae"
    widths: list[int] = Field([32, 64, 128, 256], min_length=1, description="of the halving stages")
    code: int = Field(512, ge=1, description="numbers in the code; not used by ink")
    stage: Literal["pool", "block"] = Field(
        "pool", description="pool: conv 3, act, max-pool; block: conv 2 stride 2, then conv 3"
    )
    skip: bool = Field(False, description="block: add a linear path around both convolutions")
    norm: Literal["none", "batch", "group", "instance"] = Field(
        "none", description="after a convolution of each stage"
    )
    norm_at: Literal["mid", "end"] = added(
        "mid", "block: norm after the first convolution, or after the second"
    )
    mid: Activation = Field("none", description="block: between the two convolutions")
    act: Activation = Field("relu", description="after each stage")
    output: Literal["none", "sigmoid"] = Field("none", description="sigmoid needs data.scale range")
    coarse: int = Field(
        4, ge=1, description="voxels a side of a pixel that is judged; ink: and of one logit"
    )
    head: int = Field(32, ge=1, description="ink: channels of the head")
    prior_bias: bool = Field(True, description="ink: start at the training fragment's base rate")
    dropout: float = Field(0.0, ge=0, lt=1, description="ink: share dropped in the head")
    freeze: bool = Field(False, description="ink: keep a pretrained encoder as it is")

    @property
    def inked(self) -> bool:
        return self.kind in ("joint", "cube", "ink")

    @property
    def finer(self) -> int:
        """Logits a side of a pixel that is judged: 1 where the net itself is coarse."""
        return 1 if self.kind == "ink" else self.coarse

    @property
    def rebuilds(self) -> bool:
        return self.kind in ("autoencoder", "vae", "joint")


def build(m: ScrollModel, size: tuple[int, int, int], prior: float | None) -> nn.Module:
    """Raises ValueError where the cube and the stages do not fit."""
    style = Style(m.stage, m.skip, m.norm, m.mid, m.act, m.norm_at)
    if m.inked and (size[1] % m.coarse or size[2] % m.coarse):
        raise ValueError(f"coarse: expected a cube that {m.coarse} divides, received {size}")
    start = prior if prior is not None and m.prior_bias else 0.5
    if m.kind == "ink":
        return InkNet(
            size,
            m.widths,
            coarse=m.coarse,
            head=m.head,
            style=style,
            prior=start,
            dropout=m.dropout,
        )
    net = CubeAutoencoder(
        (1, *size),
        m.widths,
        m.code,
        style=style,
        variational=m.kind in ("vae", "joint"),
        out=2 if m.kind == "joint" else 1,
        output=m.output if m.kind in ("autoencoder", "vae") else "none",
    )
    if m.inked:
        # per-voxel nets have none of their own; `InkNet` brings it
        net.register_buffer("threshold", torch.tensor(0.5))
        # the last channel's bias is the ink's; joint's first belongs to the reconstruction
        last = net.decoder[-1].main[0]
        with torch.no_grad():
            last.bias[-1] = logit(start)
    return net


def period_of(m: ScrollModel) -> int:
    """Voxels after which an output lies alike in the net's grids: its stages halve, its logits
    are coarse, so that neighbouring voxels of a map are not made alike."""
    stages = 2 ** len(m.widths)
    return math.lcm(stages, m.coarse) if m.kind == "ink" else stages


def ink_of(net: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """(logits Byx, reconstruction BDHW or None): per-voxel logits are averaged over depth."""
    if isinstance(net, InkNet):
        return net(image), None
    out = net(image)
    return out.raw[:, -1].mean(1), out
