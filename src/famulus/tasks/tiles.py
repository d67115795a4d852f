"""Tiles: how well does a small code rebuild a small picture, with and without a Gaussian posterior?

Shapes: B batch, C channels, Y X pixels, D code, P = C*Y*X numbers of one image.
Units: grey ranges (0..1) for l1, grey ranges squared for l2, nats per pixel for bce, laplace and
gaussian; `kl` is nats per image. `loss` = recon + kl_weight * kl where recon is l1 or l2, and
recon + kl_weight * kl / P where recon is a likelihood, so that weight 1 is the negative ELBO.
Source: Kingma & Welling 2014, arXiv 1312.6114; Rybkin et al. 2021, arXiv 2006.13202.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from famulus.config.errors import ConfigError, DataError
from famulus.config.schema import Strict
from famulus.data.images import open_images
from famulus.data.loose import loose_pictures
from famulus.data.picture import recipe
from famulus.data.source import Source, Splits
from famulus.models.autoencoder import Autoencoder, Reconstruction
from famulus.models.layers import conv_shapes, each
from famulus.ops import constant, elbo
from famulus.ops import reconstruction as rec
from famulus.ops.strip import difference, strip
from famulus.tasks.base import Batch, Floor, Picture, Position, Task

NOISE_ROWS = 4096  # validation noise is drawn once; sample i meets row i mod 4096
CHUNK = 1024  # samples at a time for floors

Numbers = int | list[int]
Activation = Literal["none", "relu", "leaky_relu", "gelu", "silu", "mish", "elu", "tanh", "sigmoid"]


class TilesData(Strict):
    """Which pictures, and how they are made to fit."""

    name: str = Field("digits", description="a set's name, or a path to a folder or zip")
    size: int | None = Field(None, ge=4, le=1024, description="side in pixels; null = as stored")
    filter: Literal["nearest", "bilinear", "box", "bicubic", "lanczos"] = Field(
        "bilinear", description="resampling; all but nearest are antialiased"
    )
    channels: Literal[1, 3] | None = Field(1, description="1 luma, 3 RGB, null = as stored")
    fit: Literal["stretch", "crop"] = Field("stretch", description="what to do if not square")
    subset: int | float | list[str] | None = Field(
        None, description="training samples: a count, a share, or class names"
    )
    validation: int | float | None = Field(
        None, description="validation samples: a count or a share"
    )
    seed: int = Field(0, description="which samples a subset draws")


class TilesModel(Strict):
    """A convolution an entry of `channels`, then Linear to the code; the decoder is the mirror."""

    kind: Literal["autoencoder", "vae"] = "vae"
    channels: list[int] = Field([16, 24, 32], min_length=1, description="of each convolution")
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


class TilesLoss(Strict):
    """recon and kl, and what holds them together (formula in the task's docstring)."""

    reconstruction: Literal["l1", "l2", "bce", "laplace", "gaussian"] = "laplace"
    scale: Literal["optimal", "learned"] | float = Field(
        "optimal", description="b or sigma of laplace or gaussian, in grey ranges"
    )
    kl: Literal["textbook", "legacy", "none"] = Field(
        "textbook", description="vae only; legacy is the faulty formula of old results"
    )
    kl_weight: float = Field(1.0, ge=0, description="1 = ELBO for a likelihood")
    kl_warmup_inputs: int = Field(0, ge=0, description="examples until kl_weight is reached")
    free_bits: float = Field(0.0, ge=0, description="nats a unit that cost nothing in training")


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
        if not isinstance(loss.scale, str) and loss.scale <= 0:
            raise ValueError(f"loss.scale: expected optimal, learned or > 0, received {loss.scale}")
        n = len(model.channels)
        sizes = [each(getattr(model, k), n, f"model.{k}") for k in ("kernel", "stride", "padding")]
        if self.data.size is not None:  # else the shape is known when the data are open
            conv_shapes((1, self.data.size, self.data.size), model.channels, *sizes)
        return self


class Tiles(Task):
    Config = TilesConfig

    def __init__(self, config: TilesConfig, parents: Mapping[str, Any]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None
        self._noise: Tensor | None = None

    # -- what is trained on what -------------------------------------------------------------

    def data(self) -> Splits:
        if self._splits is None:
            d = self.config.data
            self._splits = open_images(
                d.name,
                size=d.size,
                filter=d.filter,
                channels=d.channels,
                subset=d.subset,
                validation=d.validation,
                seed=d.seed,
                fit=d.fit,
            )
        return self._splits

    def build(self) -> nn.Module:
        m, loss = self.config.model, self.config.loss
        first = _images(self.data().train, np.arange(1))
        if not (first.min() >= 0 and first.max() <= 1):
            raise DataError(
                f"data.name {self.config.data.name}: expected images in 0..1, "
                f"received {float(first.min()):.3g} to {float(first.max()):.3g}"
            )
        try:
            return Autoencoder(
                tuple(first.shape[1:]),
                m.channels,
                m.code,
                variational=m.kind == "vae",
                heads=m.heads,
                kernel=m.kernel,
                stride=m.stride,
                padding=m.padding,
                norm=m.norm,
                act=m.act,
                dropout=m.dropout,
                output=m.output,
                learned_scale=loss.scale == "learned" and self._scaled,
            )
        except ValueError as error:
            raise ConfigError(f"model: {error}") from None

    def facts(self) -> dict[str, Any]:
        """What the scores mean, to stand beside every result."""
        c = self.config.loss
        vae = self.config.model.kind == "vae" and c.kl != "none"
        unit = {"l1": "mean L1", "l2": "mean L2"}.get(c.reconstruction)
        unit = unit or f"{c.reconstruction}, nats per pixel"
        per = " / pixels" if c.reconstruction in rec.LIKELIHOODS else ""
        facts = {"loss": f"{unit} + {c.kl_weight:g} * {c.kl} KL{per}" if vae else unit}
        if vae and c.kl == "legacy":
            facts["kl"] = "legacy: sigma in the place of log-variance, not a divergence"
        return facts

    # -- loss and scores ---------------------------------------------------------------------

    @property
    def _scaled(self) -> bool:
        return self.config.loss.reconstruction in ("laplace", "gaussian")

    def _nats(self, error: Tensor, out: Reconstruction) -> Tensor:
        """The reconstruction term from the mean error; an optimal scale is that of `error`."""
        c = self.config.loss
        if not self._scaled:
            return error
        if c.scale == "learned":
            scale = out.log_scale.exp()
        elif c.scale == "optimal":  # at the optimum its own gradient is 0: detached
            scale = rec.optimal_scale(c.reconstruction, error.detach())
        else:
            scale = c.scale
        return rec.negative_log_likelihood(c.reconstruction, error, scale)

    def _kl_weight(self, numbers: int) -> float:
        """Factor on nats per image; `numbers` P of one image."""
        c = self.config.loss
        return c.kl_weight / (numbers if c.reconstruction in rec.LIKELIHOODS else 1)

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        c, image = self.config.loss, batch["image"]
        out: Reconstruction = model(image)
        recon = self._nats(rec.batch_mean(c.reconstruction, out.raw, image), out)
        if out.mu is None or c.kl == "none":
            return {"recon": recon, "total": recon}
        kl_BD = elbo.KL[c.kl](out.mu, out.log_sigma)
        kl = kl_BD.sum() / len(kl_BD)
        priced = elbo.free_bits(kl_BD, c.free_bits) if c.free_bits else kl
        weight = self._kl_weight(image[0].numel()) * elbo.warmup(at.inputs, c.kl_warmup_inputs)
        return {"recon": recon, "kl": kl, "total": recon + weight * priced}

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Sums stay on the device until the end. Full KL weight, no free bits, fixed noise."""
        c = self.config.loss
        sums: dict[str, Tensor] = {}
        seen, numbers = 0, 1
        for batch in batches:
            image = batch["image"]
            noise = self._noise_for(batch["index"]) if self.config.model.kind == "vae" else None
            out: Reconstruction = model(image, noise)
            pixels = rec.to_image(c.reconstruction, out.raw)
            parts = {
                "error": rec.per_sample(c.reconstruction, out.raw, image).double().sum(),
                "l1": rec.per_sample("l1", pixels, image).double().sum(),
            }
            if out.mu is not None:
                kl_BD = elbo.KL.get(c.kl, elbo.gaussian_kl)(out.mu, out.log_sigma)
                parts["kl"] = kl_BD.double().sum()
                parts |= elbo.posterior_sums(out.mu, out.log_sigma)
            sums = {name: sums[name] + v for name, v in parts.items()} if sums else parts
            seen, numbers = seen + len(image), image[0].numel()
        if not seen:
            raise DataError("expected at least one validation image, received none")
        mean = {name: value / seen for name, value in sums.items()}
        recon = self._nats(mean["error"], out)
        result = {"loss": recon, "recon": recon, "l1": mean["l1"]}
        if "kl" in mean:
            if c.kl != "none":
                result["loss"] = recon + self._kl_weight(numbers) * mean["kl"]
            result |= {"kl": mean["kl"], **elbo.posterior_scores(mean)}
        values = torch.stack([v.double() for v in result.values()]).tolist()
        return dict(zip(result, values, strict=True))

    def _noise_for(self, index_B: Tensor) -> Tensor:
        if self._noise is None or self._noise.device != index_B.device:
            self._noise = elbo.noise_table(NOISE_ROWS, self.config.model.code).to(index_B.device)
        return elbo.fixed_noise(index_B, self._noise)

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        name = self.config.loss.reconstruction
        train, _ = _counts(data.train)
        held_out, own_median = _counts(data.validation)

        def nats(error: float) -> float:
            return self._floor_nats(error)

        def of(kind: str) -> float:
            constant_P = constant.best_constant(kind, train)
            return constant.error_of_constant(kind, held_out, constant_P)

        blank = 0.5 if self.config.model.output == "sigmoid" or name == "bce" else 0.0
        blank_P = torch.full((held_out.shape[1],), blank, dtype=torch.float64)
        start = nats(constant.error_of_constant(name, held_out, blank_P))
        best = nats(of(name))
        floors = {
            "best constant": Floor("loss", best, "best constant"),
            "best constant, recon": Floor("recon", best, "best constant"),
            "best constant, l1": Floor("l1", of("l1"), "best constant"),
            "image median, l1": Floor("l1", own_median, "image median"),
            "initial loss": Floor("loss", start + self._kl_at_start(len(train[0])), "initial loss"),
        }
        if name == "bce":
            least = constant.entropy_of_targets(held_out)
            floors["perfect"] = Floor("recon", least, "entropy of the targets")
        return floors

    def _floor_nats(self, error: float) -> float:
        start = torch.tensor(0.25).log()  # as the model's learned scale starts
        nothing = torch.empty(0)
        if self._scaled and self.config.loss.scale == "learned":  # a constant is judged at its best
            best = rec.optimal_scale(self.config.loss.reconstruction, torch.tensor(error))
            start = best.log()
        out = Reconstruction(nothing, nothing, log_scale=start)
        return float(self._nats(torch.tensor(error, dtype=torch.float64), out))

    def _kl_at_start(self, numbers: int) -> float:
        """At mu 0, sigma 1: 0, or .359 nats a unit for the legacy formula."""
        c, m = self.config.loss, self.config.model
        if m.kind != "vae" or c.kl == "none":
            return 0.0
        zero = torch.zeros(1, m.code, dtype=torch.float64)
        return self._kl_weight(numbers) * float(elbo.KL[c.kl](zero, zero).sum())

    # -- to look at, and to use ------------------------------------------------------------------

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        image = fixed["image"]
        shown = self._rebuild(model, image)
        rows = {
            "original": strip(image),
            "reconstruction": strip(shown),
            "difference x 3": strip(difference(shown, image)),
        }
        pictures = {"reconstructions": Picture(rows, "The same validation images every time.")}
        if self.config.model.kind == "vae":
            drawn = strip(self.sample(model, len(image), seed=0))
            pictures["samples"] = Picture({"prior": drawn}, "Decoded from the same z ~ N(0, 1).")
        return pictures

    @torch.no_grad()
    def _rebuild(self, model: nn.Module, image: Tensor) -> Tensor:
        raw = model.decode(model.encode(image))
        return rec.to_image(self.config.loss.reconstruction, raw)

    @torch.no_grad()
    def sample(self, model: nn.Module, count: int, seed: int) -> Tensor:
        """`count` images decoded from z ~ N(0, 1): BCYX in grey ranges."""
        z = elbo.noise_table(count, self.config.model.code, seed)
        raw = model.decode(z.to(next(model.parameters()).device))
        return rec.to_image(self.config.loss.reconstruction, raw)

    @torch.no_grad()
    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """PNGs of the model's size in `out`: a reconstruction for each picture of a file, folder
        or zip, under its own name; with option `sample` n draws from the prior (`seed` s).

        Raises ConfigError for an unknown option, DataError naming what could not be read.
        """
        if unknown := sorted(set(options) - {"sample", "seed"}):
            raise ConfigError(f"apply: expected options sample and seed, received {unknown[0]}")
        model.eval()
        out.mkdir(parents=True, exist_ok=True)
        if "sample" in options:
            if self.config.model.kind != "vae":
                raise ConfigError("apply: sample needs model.kind vae, received autoencoder")
            drawn = self.sample(model, int(options["sample"]), int(options.get("seed", 0)))
            for i, image in enumerate(drawn):
                Image.fromarray(strip(image[None])).save(out / f"sample-{i:04d}.png")
            return
        device, d = next(model.parameters()).device, self.config.data
        how = recipe(list(model.shape[1:]), d.filter, model.shape[0], d.fit)
        unread = []
        for name, pixels in loose_pictures(inputs, how):
            if isinstance(pixels, DataError):
                unread.append(f"{name} ({pixels})")
                continue
            shown = self._rebuild(model, torch.from_numpy(pixels)[None].to(device) / 255)
            target = (out / name).with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(strip(shown)).save(target)
        if unread:
            raise DataError(f"apply: {len(unread)} pictures not read, the first: {unread[0]}")


def _images(source: Source, indices: np.ndarray) -> Tensor:
    seeds = np.zeros(len(indices), np.uint64)
    return source.finish(source.gather(indices, seeds), seeds)["image"]


def _counts(source: Source) -> tuple[Tensor, float]:
    """Level counts LP of all images, and their mean error against each one's own median."""
    total, median = None, 0.0
    for start in range(0, len(source), CHUNK):
        image = _images(source, np.arange(start, min(start + CHUNK, len(source)))).cpu()
        counts = constant.level_counts(image)
        total = counts if total is None else total + counts
        median += float(constant.own_median_error(image).sum())
    if total is None:
        raise DataError("expected at least one image, received none")
    return total, median / len(source)
