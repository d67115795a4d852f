"""Tiles: how well does a small code rebuild a small picture, with and without a Gaussian posterior?

Shapes: B batch, C channels, Y X pixels, D code, P = C*Y*X numbers of one image.
Units: grey ranges (0..1) for l1, grey ranges squared for l2, nats per pixel for bce, laplace and
gaussian, pixels per bin for histogram; `kl` is nats per image. `loss` = recon + kl_weight * kl
where recon is l1, l2 or histogram, and recon + kl_weight * kl / P where recon is a likelihood, so
that weight 1 is the negative ELBO. A price on the code is added as it stands.
Source: Kingma & Welling 2014, arXiv 1312.6114; Rybkin et al. 2021, arXiv 2006.13202.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from famulus.config.apply_options import known, whole
from famulus.config.errors import ConfigError, DataError
from famulus.feed.source import Splits
from famulus.images.arrays import over_pictures
from famulus.images.look import look
from famulus.images.picture import recipe
from famulus.images.rebuild import rebuild, save
from famulus.images.strip import difference, strip
from famulus.nets import elbo
from famulus.nets.autoencoder import Autoencoder, Reconstruction
from famulus.tasks.base import (
    Batch,
    Changes,
    Facts,
    Floor,
    Picture,
    Position,
    Proposal,
    Task,
)
from famulus.tasks.tiles import code_price
from famulus.tasks.tiles import constant_baseline as constant
from famulus.tasks.tiles import grey_levels as levels
from famulus.tasks.tiles.datasets import open_tiles
from famulus.tasks.tiles.histogram import HistogramLoss
from famulus.tasks.tiles.proposal import tiles_proposal
from famulus.tasks.tiles.reconstruction import Term
from famulus.tasks.tiles.resize_comparison import before_after
from famulus.tasks.tiles.scores import TILES
from famulus.tasks.tiles.settings import CONV_ONLY, TilesConfig
from famulus.tasks.tiles.stacked_net import (
    SpaceToDepthAutoencoder,
    StackedAutoencoder,
    counts,
    grown_after,
    growth,
)

NOISE_ROWS = 4096  # validation noise is drawn once; sample i meets row i mod 4096
MOST_SAMPLES, DECODED = 10_000, 256  # draws that `apply` makes, and how many are decoded at once


class Tiles(Task):
    Config = TilesConfig
    SCORES = TILES
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "sample": "1 to 10,000 draws of a vae's prior (16); takes no input",
        "seed": "of sample: a whole number (0)",
    }

    def __init__(self, config: TilesConfig, parents: Mapping[str, Any]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None
        self._noise: Tensor | None = None
        loss, h = config.loss, config.loss.histogram
        compare = HistogramLoss(h.bins, *h.range, h.sigma, h.norm, h.distance)
        which = compare if loss.reconstruction == "histogram" else None
        self._term = Term(loss.reconstruction, loss.scale, which)

    # -- what is trained on what -------------------------------------------------------------

    def data(self) -> Splits:
        if self._splits is None:
            self._splits = open_tiles(**dict(self.config.data))
        return self._splits

    def built_from(self, data: Splits) -> dict[str, Any]:
        first = levels.pictures(data.train, np.arange(1))
        # not (a and b): NaN fails both comparisons and is caught as well
        if not (first.min() >= 0 and first.max() <= 1):
            raise DataError(
                f"data.name {self.config.data.name}: expected images in 0..1, "
                f"received {float(first.min()):.3g} to {float(first.max()):.3g}"
            )
        return {"shape": list(first.shape[1:]), **data.train.recipe.scale}

    def build(self) -> nn.Module:
        settings, shape = self.config.model, tuple(self.basis["shape"])
        try:
            if settings.kind == "stacked":
                model = StackedAutoencoder(
                    shape, settings.widths[0], settings.depth or 25, settings.code, settings.tied
                )
                # a checkpoint that is loaded afterwards brings its own count
                model.set_active(1 if settings.grow else model.layers)
                return model
            if settings.kind == "space-to-depth":
                return SpaceToDepthAutoencoder(
                    shape, settings.widths[0], settings.depth or 3, settings.code
                )
            return Autoencoder(
                shape,
                settings.widths,
                settings.code,
                variational=settings.kind == "vae",
                learned_scale=self._term.scaled and self.config.loss.scale == "learned",
                **{name: getattr(settings, name) for name in CONV_ONLY},
            )
        except ValueError as error:
            raise ConfigError(f"model: {error}") from None

    def on_inputs(self, model: nn.Module, at: Position) -> str | None:
        """Layers join a stacked net as it grows; what joined, for the curve."""
        if not self.config.model.grow:
            return None
        return growth(model, at.inputs, self._grow_every(), self.config.model.grow.layers)

    def _grow_every(self) -> int:
        grow = self.config.model.grow
        return grow.inputs or max(1, round(grow.epochs * len(self.data().train)))

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return tiles_proposal(look(name))

    def facts(self) -> Facts:
        """What the scores mean, to stand beside every result."""
        loss, net = self.config.loss, self.config.model
        vae, code, noise = net.kind == "vae" and loss.kl != "none", loss.code, loss.input_noise
        per = " / pixels" if self._term.likelihood else ""
        priced = f" + {loss.kl_weight:g} * {loss.kl} KL{per}" if vae else ""
        if code:
            priced += f" + {code.weight:g} * (|{code.sd:g} - sd| + |{code.mean:g} - mean|)"
            priced += " of the code"
        shown: dict[str, Any] = {}
        if noise:
            where = "input and target" if noise.target else "the input"
            shown["input_noise"] = f"sd {noise.sd:g} on {where}, in training only"
        if vae and loss.kl == "legacy":
            shown["kl"] = "legacy: sigma in the place of log-variance, not a divergence"
        changes = None
        if net.kind == "stacked":
            # without memory, and without a draw from the stream that starts the weights
            with torch.device("meta"):  # to count, nothing more
                model = self.build()
            shown |= counts(model)
            if net.grow:
                until = grown_after(model, self._grow_every(), net.grow.layers)
                changes = Changes("growth", until)
        scaled = self._term.scaled and isinstance(loss.scale, str)  # ln b or ln sigma, a constant
        return Facts(
            loss=f"{self._term.unit}{priced}",
            loss_scale="log" if scaled else "",
            noisy_targets=bool(noise and noise.target),
            numbers=math.prod(self.basis["shape"]),
            # a table shows no filter where none was at work
            without_effect=() if self.data().resized else ("data.filter",),
            changes=changes,
            shown=shown,
        )

    # -- loss and scores ---------------------------------------------------------------------

    def _kl_weight(self, numbers: int) -> float:
        """Factor on nats per image; `numbers` P of one image."""
        return self.config.loss.kl_weight / (numbers if self._term.likelihood else 1)

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        loss, image = self.config.loss, batch["image"]
        inputs, target = self._noisy(image)
        out: Reconstruction = model(inputs)
        recon = self._term.value(self._term.batch_mean(out.raw, target), out.log_scale)
        parts, total = {"recon": recon}, recon
        if out.mu is not None and loss.kl != "none":
            kl_BD = elbo.KL[loss.kl](out.mu, out.log_sigma)
            # the sum over units: the mean would make the weight depend on the code's width
            parts["kl"] = kl_BD.sum() / len(kl_BD)
            priced = elbo.free_bits(kl_BD, loss.free_bits) if loss.free_bits else parts["kl"]
            # by inputs, not steps: another batch size warms up alike
            weight = self._kl_weight(image[0].numel()) * elbo.warmup(
                at.inputs, loss.kl_warmup_inputs
            )
            total = total + weight * priced
        if loss.code:
            parts["code"] = code_price.of_batch(out.code, loss.code.sd, loss.code.mean)
            total = total + loss.code.weight * parts["code"]
        return parts | {"total": total}

    def _noisy(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What a training step gives to the net, and what it expects of it."""
        noise = self.config.loss.input_noise
        if not noise:
            return image, image
        noisy = image + noise.sd * torch.randn_like(image)
        # one draw for both: input and target carry the same noise
        return noisy, noisy if noise.target else image

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Sums stay on the device until the end. Full KL weight, no free bits, fixed noise."""
        c, term = self.config.loss, self._term
        sums: dict[str, Tensor] = {}
        seen, numbers = 0, 1
        for batch in batches:
            image = batch["image"]
            noise = [self._noise_for(batch["index"])] if self.config.model.kind == "vae" else []
            out: Reconstruction = model(image, *noise)
            l1 = (term.to_image(out.raw) - image.float()).abs().flatten(1).mean(1)
            parts = {
                "error": term.per_sample(out.raw, image).double().sum(),
                "l1": l1.double().sum(),
            }
            if out.mu is not None:
                # kl none: measured all the same, as it is no part of the loss
                kl_BD = elbo.KL.get(c.kl, elbo.gaussian_kl)(out.mu, out.log_sigma)
                parts["kl"] = kl_BD.double().sum()
                parts |= elbo.posterior_sums(out.mu, out.log_sigma)
            if c.code:
                parts |= code_price.sums(out.code)
            # on the device: a number fetched a batch would wait for the device each time
            sums = {name: sums[name] + v for name, v in parts.items()} if sums else parts
            seen, numbers = seen + len(image), image[0].numel()
        if not seen:
            raise DataError("expected at least one validation image, received none")
        mean = {name: value / seen for name, value in sums.items()}
        # of the mean error over all: an optimal scale of each batch would flatter the score
        recon = term.value(mean["error"], out.log_scale)
        result = {"loss": recon, "recon": recon, "l1": mean["l1"]}
        if "kl" in mean:
            if c.kl != "none":
                result["loss"] = recon + self._kl_weight(numbers) * mean["kl"]
            result |= {"kl": mean["kl"], **elbo.posterior_scores(mean)}
        if c.code:
            spread, middle = code_price.moments(mean)
            price = code_price.of_moments(spread, middle, c.code.sd, c.code.mean)
            result["loss"] = result["loss"] + c.code.weight * price
            result |= {"code_sd": spread, "code_mean": middle}
        # one transfer for all
        values = torch.stack([v.double() for v in result.values()]).tolist()
        found = dict(zip(result, values, strict=True))
        if self.config.model.grow:  # losses at different sizes of the code don't compare
            found["code_numbers"] = float(out.code.shape[1])
        return found

    def _noise_for(self, index_B: Tensor) -> Tensor:
        if self._noise is None or self._noise.device != index_B.device:
            self._noise = elbo.noise_table(NOISE_ROWS, self.config.model.code).to(index_B.device)
        return elbo.fixed_noise(index_B, self._noise)

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        term, name = self._term, self.config.loss.reconstruction
        train, _ = levels.level_counts(data.train)
        held_out, own_median = levels.level_counts(data.validation)

        def of(kind: str) -> float:
            constant_P = constant.best_constant(kind, train)
            return constant.error_of_constant(kind, held_out, constant_P)

        # a logit of 0 is grey .5; a plain output starts near black
        blank = 0.5 if self.config.model.output == "sigmoid" or name == "bce" else 0.0
        if term.histogram is not None:
            start, best = levels.histogram_floors(data, term.histogram, blank)
        else:
            blank_P = torch.full((held_out.shape[1],), blank, dtype=torch.float64)
            start = term.of_constant(constant.error_of_constant(name, held_out, blank_P))
            best = term.of_constant(of(name))
        means = "best constant" if term.histogram is None else "best constant histogram"
        # all parts: the doctor holds the first loss against this
        start += self._kl_at_start(len(train[0])) + self._code_price_at_start()
        floors = {
            "best constant": Floor("loss", best, means),
            "best constant, recon": Floor("recon", best, means),
            "initial loss": Floor("loss", start, "initial loss"),
        }
        if term.histogram is None:  # which says nothing of where a grey value stands
            floors["best constant, l1"] = Floor("l1", of("l1"), "best constant")
            floors["image median, l1"] = Floor("l1", own_median, "image median")
        if name == "bce":
            least = constant.entropy_of_targets(held_out)
            floors["perfect"] = Floor("recon", least, "entropy of the targets")
        return floors

    def _kl_at_start(self, numbers: int) -> float:
        """At mu 0, sigma 1: 0, or .359 nats a unit for the legacy formula."""
        loss, model = self.config.loss, self.config.model
        if model.kind != "vae" or loss.kl == "none":
            return 0.0
        zero = torch.zeros(1, model.code, dtype=torch.float64)
        return self._kl_weight(numbers) * float(elbo.KL[loss.kl](zero, zero).sum())

    def _code_price_at_start(self) -> float:
        """Of a code near 0, as that of a new net is."""
        price = self.config.loss.code
        return price.weight * (price.sd + abs(price.mean)) if price else 0.0

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
        if "index" in fixed and (
            rows := before_after(self.data().validation, fixed["index"].cpu().numpy())
        ):
            pictures["resize"] = Picture(rows, "As stored, and what each filter makes of it.")
        return pictures

    @torch.no_grad()
    def _rebuild(self, model: nn.Module, image: Tensor) -> Tensor:
        raw = model.decode(model.encode(image))
        return self._term.to_image(raw)

    @torch.no_grad()
    def sample(self, model: nn.Module, count: int, seed: int, **options: Any) -> Tensor:
        """`count` images decoded from z ~ N(0, 1): BCYX in 0..1. Raises ConfigError."""
        if self.config.model.kind != "vae":
            kind = self.config.model.kind
            raise ConfigError(f"apply: sample needs model.kind vae, received {kind}")
        asked = {"sample": count, "seed": seed} | options
        known(asked, self.OPTIONS)
        return self._samples(model, *_draws_of(asked)).clamp(0, 1)

    def _samples(self, model: nn.Module, count: int, seed: int) -> Tensor:
        """As they leave the network: a plain output may lie beyond 0..1."""
        z = elbo.noise_table(count, self.config.model.code, seed)
        z = z.to(next(model.parameters()).device)
        return torch.cat([self._term.to_image(model.decode(part)) for part in z.split(DECODED)])

    @torch.no_grad()
    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """PNGs of the model's size in `out`: a reconstruction for each picture of a file, folder
        or zip, under its own name; with option `sample` n draws from the prior (`seed` s).

        Raises ConfigError for an option that does not fit, DataError naming what could not be read.
        """
        # an option with a typing error must not be taken for the default
        known(options, self.OPTIONS)
        count, seed = _draws_of(options)
        model.eval()
        if "sample" in options:
            drawn = self.sample(model, count, seed)
            out.mkdir(parents=True, exist_ok=True)
            for i, image in enumerate(drawn):
                save(out / f"sample-{i:04d}.png", image[None])
            return
        out.mkdir(parents=True, exist_ok=True)
        device, data = next(model.parameters()).device, self.config.data
        # as in training: another filter is other data to the net
        how = recipe(list(model.shape[1:]), data.filter, model.shape[0], data.fit)
        how = how.scaled_by(self.basis)
        rebuild(inputs, out, how, lambda image: self._rebuild(model, image.to(device)))

    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Reconstructions in 0..1 of pictures CYX or BCYX of the model's shape."""
        known(options, {})

        def change(image: Tensor) -> Tensor:
            return self._rebuild(model, image).float().clamp(0, 1)

        return over_pictures(change, inputs, self.basis["shape"])


def _draws_of(options: Mapping[str, Any]) -> tuple[int, int]:
    """How many draws are asked for, and their seed. Raises ConfigError."""
    return whole(options, "sample", 16, least=1, most=MOST_SAMPLES), whole(options, "seed", 0)
