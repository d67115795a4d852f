"""What an experiment of task tiles may say: its sections `data`, `model` and `loss`.

Units: grey ranges (0..1) for pictures, inputs are examples seen.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from famulus.config.errors import Unfit
from famulus.config.schema import Strict, added
from famulus.images.labelled_source import BACKGROUND, PAGES, RANGE, ordered
from famulus.nets.layers import conv_shapes, each

Numbers = int | list[int]
Activation = Literal["none", "relu", "leaky_relu", "gelu", "silu", "mish", "elu", "tanh", "sigmoid"]
CONV_ONLY = ("kernel", "stride", "padding", "heads", "norm", "act", "dropout", "output")
STACKED_ONLY = ["tied", "grow"]
COMPOSITES_ONLY = ("of", "of_size", "pasted", "count", "validation_count")


def _only_defaults(section: Strict, names: Iterable[str], kind: str) -> None:
    """An option that changes nothing would look like one that does."""
    for name in names:
        if getattr(section, name) != type(section).model_fields[name].default:
            raise Unfit(f"{name}: has no meaning for {kind}; leave it out", "option-without-effect")


class TilesData(Strict):
    """Which pictures, and how they are made to fit."""

    name: str = Field(
        "digits", description="a set's name, a path to a folder or zip, noise, or composites"
    )
    size: int | None = Field(None, ge=4, le=1024, description="side in pixels; null = as stored")
    filter: Literal["nearest", "bilinear", "box", "bicubic", "lanczos"] = Field(
        "bilinear", description="resampling; all but nearest are antialiased"
    )
    channels: Literal[1, 3] | None = Field(1, description="1 luma, 3 RGB, null = as stored")
    fit: Literal["stretch", "crop"] = Field("stretch", description="what to do if not square")
    subset: int | float | list[str] | None = Field(
        None, description="training samples: a count, a share, or class names"
    )
    validation: int | float | Literal["test"] | None = Field(
        None, description="validation samples: a count, a share, or test: the folder of that name"
    )
    seed: int = Field(0, description="which samples a subset draws; which noise, which composites")
    mean: float = added(0.5, "noise: of the normal law, in grey ranges, before it is clamped")
    sd: float = added(0.5, "noise: its standard deviation, in grey ranges", gt=0)
    of: str = added("crawl-tiles", "composites: the set whose pictures are pasted")
    of_size: int | None = added(
        None, "composites: side of a pasted picture; null = as stored", ge=1
    )
    pasted: int = added(3, "composites: pictures pasted on another, enlarged one", ge=0)
    count: int | None = added(None, "composites: how many; null = as many as pictures", ge=1)
    validation_count: int | None = added(
        None, "composites: how many for validation; null = as many as pictures", ge=1
    )
    range: tuple[float, float] | None = added(None, RANGE)
    pages: Literal["first", "middle", "all"] = added("first", PAGES)
    background: Literal["black", "white"] = added("black", BACKGROUND)

    _ordered_range = field_validator("range")(ordered)

    @model_validator(mode="after")
    def _made_sets(self) -> Self:
        options = {"mean": "noise", "sd": "noise"}
        options |= dict.fromkeys(COMPOSITES_ONLY, "composites")
        _only_defaults(self, [k for k, of in options.items() if of != self.name], self.name)
        if self.name == "noise":
            _only_defaults(self, ("range", "pages", "background"), self.name)
        return self


class Growth(Strict):
    """A stacked net starts with one layer; others join, each with its mirror."""

    inputs: int | None = Field(None, gt=0, description="examples between two events")
    epochs: float | None = Field(None, gt=0, description="passes over the data between two events")
    layers: int = Field(1, ge=1, description="that join at once")

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.inputs is None) == (self.epochs is None):
            raise ValueError("expected exactly one of inputs and epochs")
        return self


class TilesModel(Strict):
    """autoencoder, vae: a convolution an entry of `channels`, then Linear to the code; the decoder
    is the mirror. stacked: `depth` 3x3 convolutions and a Linear, layer by layer. space-to-depth:
    `depth` foldings of 2x2 pixels into channels."""

    kind: Literal["autoencoder", "vae", "stacked", "space-to-depth"] = "vae"
    channels: int | Annotated[list[int], Field(min_length=1)] = Field(
        [16, 24, 32], description="of each convolution; one number for stacked and space-to-depth"
    )
    kernel: Numbers = Field(3, description="pixels a side, one number or one a layer")
    stride: Numbers = Field(1, description="pixels, one number or one a layer")
    padding: Numbers = Field(0, description="pixels, one number or one a layer")
    code: int = Field(128, ge=1, description="numbers in the code")
    heads: Literal["code", "features"] = Field(
        "code", description="mu and ln sigma read the Linear's output, or the features themselves"
    )
    norm: Literal["none", "batch", "group", "instance"] = "none"
    act: Activation = Field("relu", description="between layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of features, before the code")
    output: Activation = Field("none", description="of the reconstruction; bce brings its own")
    depth: int | None = added(None, "convolutions of stacked (25), foldings (3)", ge=1)
    tied: bool = added(True, "stacked: a layer and its mirror share one weight")
    grow: Growth | None = added(None, "stacked: {inputs: 8_000}; null = all layers from the start")

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        if self.deep:
            _only_defaults(self, [*CONV_ONLY, *STACKED_ONLY * (self.kind != "stacked")], self.kind)
            if len(self.widths) != 1:
                raise ValueError(f"kind {self.kind}: expected one number of channels")
        else:
            vae_only = ["heads"] * (self.kind != "vae")
            _only_defaults(self, ["depth", *STACKED_ONLY, *vae_only], self.kind)
        return self

    @property
    def deep(self) -> bool:
        """One of the two kinds that are not a mirrored stack of free convolutions."""
        return self.kind in ("stacked", "space-to-depth")

    @property
    def widths(self) -> list[int]:
        return [self.channels] if isinstance(self.channels, int) else self.channels


class Histogram(Strict):
    """Soft histograms of each channel (formula in tasks/tiles/histogram.py)."""

    bins: int = Field(100, ge=1, description="number of bins")
    range: tuple[float, float] = Field((0.0, 1.0), description="first and last edge, grey ranges")
    sigma: float = Field(100.0, gt=0, description="steepness of a bin's edges, 1 / grey range")
    norm: bool = Field(False, description="divide by the pixels: shares instead of counts")
    distance: Literal["l1", "l2"] = Field("l1", description="between two histograms")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range: expected low < high, received {list(self.range)}")
        return self


class CodePrice(Strict):
    """weight * (|sd - sd of a unit| + |mean - mean|) of the code (tasks/tiles/code_price.py)."""

    weight: float = Field(1e-4, gt=0, description="beside recon, in recon's own unit")
    sd: float = Field(0.5, ge=0, description="asked of a unit over the samples, on average")
    mean: float = Field(0.0, description="asked of all numbers of the code")


class InputNoise(Strict):
    """N(0, sd) on each number of a training picture; validation sees clean ones."""

    sd: float = Field(gt=0, description="grey ranges; nothing is clamped")
    target: bool = Field(
        False, description="the noisy picture is the target too: no net can then reach 0"
    )


class TilesLoss(Strict):
    """recon and kl, and what holds them together (formula in the task's docstring)."""

    reconstruction: Literal["l1", "l2", "bce", "laplace", "gaussian", "histogram"] = "laplace"
    scale: Literal["optimal", "learned"] | float = Field(
        "optimal", description="b or sigma of laplace or gaussian, in grey ranges"
    )
    kl: Literal["textbook", "legacy", "none"] = Field(
        "textbook", description="vae only; legacy is the faulty formula of old results"
    )
    kl_weight: float = Field(1.0, ge=0, description="1 = ELBO for a likelihood")
    kl_warmup_inputs: int = Field(0, ge=0, description="examples until kl_weight is reached")
    free_bits: float = Field(0.0, ge=0, description="nats a unit that cost nothing in training")
    histogram: Histogram = added(Histogram(), "of reconstruction: histogram")
    code: CodePrice | None = added(None, "{weight: 0.0001}: a price on the code's spread and mean")
    input_noise: InputNoise | None = added(None, "{sd: 0.2}: in training only")

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        """What belongs to a kl is let through for `none`, so that a matrix may run over it; a price
        in nats that a formula without nats does not have is not."""
        if self.reconstruction != "histogram":
            _only_defaults(self, ["histogram"], f"reconstruction {self.reconstruction}")
        if self.reconstruction not in ("laplace", "gaussian"):
            _only_defaults(self, ["scale"], f"reconstruction {self.reconstruction}")
        if self.kl == "legacy":
            _only_defaults(self, ["free_bits"], "kl legacy")
        return self


class TilesConfig(Strict):
    data: TilesData = TilesData()
    model: TilesModel = TilesModel()
    loss: TilesLoss = TilesLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        model, loss = self.model, self.loss
        if loss.reconstruction == "bce" and model.output != "none":
            raise ValueError(
                "loss.reconstruction bce applies the sigmoid itself: expected model.output none, "
                f"received {model.output}"
            )
        if loss.reconstruction == "bce" and loss.input_noise and loss.input_noise.target:
            raise ValueError(
                "loss.input_noise: bce expects targets in 0..1, which noise leaves: "
                "expected target false, received true"
            )
        if not isinstance(loss.scale, str) and loss.scale <= 0:
            raise ValueError(f"loss.scale: expected optimal, learned or > 0, received {loss.scale}")
        if loss.scale == "learned" and model.deep:
            raise ValueError(f"loss.scale: {model.kind} has no learned scale: expected optimal")
        n = len(model.widths)
        sizes = [each(getattr(model, k), n, f"model.{k}") for k in ("kernel", "stride", "padding")]
        if self.data.size is not None and not model.deep:  # else known when the data are open
            conv_shapes((1, self.data.size, self.data.size), model.widths, *sizes)
        return self
