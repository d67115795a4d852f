"""The `model` section of tasks `codes` and `prior`: settings, and the nets they stand for.

Both stages read it: the second one rebuilds the first one's net from its stored settings.
"""

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from famulus.config.schema import Strict
from famulus.tasks.codes import convolution as conv
from famulus.tasks.codes.quantiser import (
    AveragedCodebook,
    FiniteScalar,
    GradientCodebook,
    Quantiser,
)
from famulus.tasks.codes.scaling import Scaling
from famulus.tasks.codes.vqvae import VAE, VQVAE


class LayerConfig(Strict):
    """One convolution of a plain stack; the decoder is the mirror."""

    filters: int = Field(..., ge=1, description="channels that come out")
    kernel: int = Field(3, ge=1, description="pixels a side")
    stride: int = Field(1, ge=1, description="pixels; the product over layers is the grid's factor")


class QuantiserConfig(Strict):
    """How a place's vector becomes codes."""

    kind: Literal["ema", "gradient", "fsq", "library"] = Field(
        "ema", description="moving averages, gradient, finite scalar, or an installed library's"
    )
    size: int = Field(256, ge=2, description="codes in a codebook (fsq: the levels decide)")
    dim: int = Field(16, ge=1, description="numbers a code (fsq: the number of levels)")
    codes_per_position: int = Field(1, ge=1, le=16, description="codes a place of the grid")
    shared: bool = Field(True, description="one codebook for all codes of a place")
    decay: float = Field(0.99, ge=0, lt=1, description="ema: share of the old average a step")
    pool: int = Field(10_000, ge=0, description="ema: vectors for the k-means start; 0: random")
    reset_below: float = Field(
        0.1, ge=0, lt=1, description="ema: share of uniform use below which a code is moved"
    )
    cosine: bool = Field(False, description="ema: vectors and codes have length 1")
    rotation: bool = Field(False, description="ema: turn the gradient as z turns into its code")
    levels: list[int] = Field([8, 8, 8], min_length=1, description="fsq: values of each number")
    name: str | None = Field(None, description="library: class of vector-quantize-pytorch")
    options: dict[str, int | float | bool | str | list[int]] = Field(
        {}, description="library: its options"
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kind == "library" and not self.name:
            raise ValueError("quantiser kind library: expected its class as name, as SimVQ")
        return self


class CodedModel(Strict):
    """An autoencoder with a grid of codes (vqvae), or with one Gaussian code (vae)."""

    kind: Literal["vqvae", "vae"] = "vqvae"
    stack: Literal["residual", "plain"] = Field("residual", description="layout of the nets")
    widths: list[int] = Field(
        [32, 64, 64], min_length=1, description="residual: channels, one halving between two"
    )
    blocks: int = Field(1, ge=0, description="residual: blocks before each halving")
    patch: int = Field(1, ge=1, description="residual: pixels a side folded into channels first")
    layers: list[LayerConfig] = Field([], description="plain: the encoder's convolutions")
    activation: Literal["relu", "leaky-relu", "silu"] = Field("relu", description="plain")
    last_activation: bool = Field(False, description="plain: also after the last (on z)")
    start: Literal["default", "he-normal"] = Field("default", description="weights at the start")
    project: bool = Field(True, description="vqvae: linear 1x1 between net and quantiser")
    quantiser: QuantiserConfig = QuantiserConfig()
    code: int = Field(128, ge=1, description="vae: numbers in the code")
    output: Literal["none", "sigmoid", "tanh"] = Field("none", description="after the decoder")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stack == "plain" and not self.layers:
            raise ValueError("stack plain: expected layers, as [{filters: 32, kernel: 5}]")
        return self


def build_quantiser(c: QuantiserConfig) -> Quantiser:
    """Raises ValueError for settings that no quantiser can have."""
    per, shared = c.codes_per_position, c.shared
    if c.kind == "fsq":
        return FiniteScalar(tuple(c.levels), per, shared)
    if c.kind == "gradient":
        return GradientCodebook(c.size, c.dim, per, shared)
    if c.kind == "library":
        from famulus.tasks.codes.library_quantiser import LibraryQuantiser  # an extra

        return LibraryQuantiser(c.name or "", c.size, c.dim, per, dict(c.options))
    return AveragedCodebook(
        c.size, c.dim, per, shared, c.decay, c.pool, c.reset_below, c.cosine, c.rotation
    )


def build_coded(
    c: CodedModel, channels: int, sides: tuple[int, ...], scaling: str = "unit"
) -> VQVAE | VAE:
    """The net for pictures or volumes of `channels` and `sides`.

    It carries `scaling` and the training set's `variance` (in the scale's units), both to be
    filled in by whoever knows the data. Raises ValueError if sizes or widths don't fit.
    """
    space = len(sides)
    if c.stack == "plain":
        layers = [conv.Convolution(one.filters, one.kernel, one.stride) for one in c.layers]
        encoder = conv.plain_encoder(channels, layers, c.activation, c.last_activation, space)
        width = layers[-1].filters
        decoder = conv.plain_decoder(width, layers, c.activation, channels, space)
    else:
        encoder = conv.residual_encoder(channels, c.widths, c.blocks, space, c.patch)
        width = c.widths[-1]
        decoder = conv.residual_decoder(width, c.widths, c.blocks, channels, space, c.patch)
        if any(side % c.patch for side in sides):
            raise ValueError(f"expected sides that patch {c.patch} divides, received {sides}")
    model: VQVAE | VAE
    if c.kind == "vae":
        model = VAE(encoder, decoder, channels, sides, c.code, c.output)
    else:
        quantiser = build_quantiser(c.quantiser)
        model = VQVAE(encoder, quantiser, decoder, channels, sides, c.project, c.output)
    # at the end: the quantiser's projections are convolutions too
    if c.start == "he-normal":
        conv.he_normal(model)
    model.scaling = Scaling(scaling, torch.zeros(channels), torch.ones(channels))
    model.register_buffer("variance", torch.ones(()))
    return model


def load_coded(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Weights of a finished run into a net built from its settings, in eval mode, frozen.

    Raises ValueError naming the first tensor that does not fit.
    """
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        ours = tuple(own[name].shape) if name in own else None
        theirs = tuple(weights[name].shape) if name in weights else None
        if ours != theirs:
            raise ValueError(f"{name}: expected shape {ours}, received {theirs}")
    model.load_state_dict(dict(weights))
    # frozen: a prior must never move the codes that it predicts
    model.eval().requires_grad_(False)
