"""Codes: how few discrete codes, or how small a Gaussian one, rebuild a picture?

Shapes: image_BCYX, mask_B1YX (1 = real, 0 = letterbox padding), codes B Y' X' H on the grid.
Units: `recon` is the mean error a real pixel and channel, in the scaling's units (mse: squared),
divided by the training set's variance where loss.scale is variance; nats a number where it is
calibrated. `l1` is in grey ranges. `kl` is nats a picture. Padding counts nowhere.
`total` = recon + commit_weight * commit + codebook (vqvae), recon + kl_weight * kl / P (vae),
P = real numbers of a picture: with plain mse and weight 1 that is "sum of squares + KL" over P.
Source: van den Oord et al. 2017, arXiv 1711.00937; Kingma & Welling 2014, arXiv 1312.6114;
Rybkin et al. 2021, arXiv 2006.13202 (calibrated).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from famulus.config.apply_options import known
from famulus.config.errors import ConfigError, DataError, cause_of
from famulus.feed.source import Splits
from famulus.images.arrays import over_pictures
from famulus.images.input_pictures import refuse_unread
from famulus.images.look import look
from famulus.images.strip import difference, strip
from famulus.tasks.base import (
    Batch,
    Facts,
    Floor,
    Picture,
    Position,
    Proposal,
    SelfTest,
    Task,
    made_up,
)
from famulus.tasks.codes import masked_losses as masked
from famulus.tasks.codes.apply import OPTIONS, apply_codes, drawn, draws_of, of_tensors
from famulus.tasks.codes.data import batches
from famulus.tasks.codes.letterbox import placed
from famulus.tasks.codes.net import build_coded
from famulus.tasks.codes.proposal import START, codes_proposal
from famulus.tasks.codes.quantisation import CodebookCount
from famulus.tasks.codes.quantiser import Quantiser
from famulus.tasks.codes.scaling import Moments
from famulus.tasks.codes.scores import CODES
from famulus.tasks.codes.settings import CodesConfig
from famulus.tasks.codes.vqvae import VAE

SURVEYED = 2048  # training pictures, spread evenly, that means and variances are measured on
MSE_UNITS = {
    "variance": "squared error over the training set's variance",
    "calibrated": "Gaussian nats a number, the best variance",
    "none": "squared error in the scaling's units",
}
ROUNDING = 1e-4  # grey ranges: what scaling and going back may lose in float32


class Codes(Task):
    Config = CodesConfig
    SCORES = CODES
    OPTIONS = OPTIONS
    START = START

    def __init__(self, config: CodesConfig, parents: Mapping[str, Any]) -> None:
        super().__init__(config, parents)
        self._splits: Splits | None = None

    def data(self) -> Splits:
        if self._splits is None:
            self._splits = self.config.data.picked()
        return self._splits

    def built_from(self, data: Splits) -> dict[str, Any]:
        first = next(batches(data.train, 1))["image"]
        return {"shape": list(first.shape[1:]), **data.train.recipe.scale}

    def build(self) -> nn.Module:
        channels, *sides = self.basis["shape"]
        scaling = self.config.data.scaling
        try:
            model = build_coded(self.config.model, channels, tuple(sides), scaling)
        except ValueError as error:
            raise ConfigError(f"model: {error}", cause=cause_of(error)) from None
        if self.stored is None:  # else they are among the weights
            self._measure(model)
        return model

    def _measure(self, model: nn.Module) -> None:
        """Mean, spread and variance of the training part into the buffers of a fresh net."""
        train, moments = self.data().train, Moments()
        for batch in batches(train, 256, SURVEYED):
            moments.add(batch["image"], batch.get("mask"))
        # into buffers: a checkpoint draws with what it learned with
        mean_C, std_C = moments.result()
        model.scaling.mean_C.copy_(mean_C)
        model.scaling.std_C.copy_(std_C)
        scaled = Moments()
        for batch in batches(train, 256, SURVEYED):
            x = model.scaling(batch["image"], batch.get("mask")).x
            scaled.add(x.flatten(2).flatten(1)[:, None], _one_channel(batch.get("mask"), x))
        # a set of one colour has no variance to divide by
        model.variance.copy_(scaled.result()[1].square().clamp(min=1e-6)[0])

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return codes_proposal(look(name))

    def facts(self) -> Facts:
        loss, vae = self.config.loss, self.config.model.kind == "vae"
        unit = loss.reconstruction if loss.reconstruction != "mse" else MSE_UNITS[loss.scale]
        held = f"{loss.kl_weight:g} * KL / numbers" if vae else f"{loss.commit_weight:g} * commit"
        calibrated = loss.reconstruction == "mse" and loss.scale == "calibrated"
        return Facts(loss=f"{unit} + {held}", loss_scale="log" if calibrated else "")

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        return (model.scaling(made_up(2, *self.basis["shape"]), None).x,)

    # -- loss and scores ---------------------------------------------------------------------

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        c, mask = self.config.loss, batch.get("mask")
        x = model.scaling(batch["image"], mask).x
        out = model(x) if isinstance(model, VAE) else model(x, mask)
        error = masked.POINTWISE[c.reconstruction](out.recon.float(), x)
        recon = self._priced(masked.masked_mean(error, mask), model)
        if isinstance(model, VAE):
            kl = masked.gaussian_kl(out.mu_BD.float(), out.logvar_BD.float()).mean()
            weight = c.kl_weight
            if c.kl_warmup_inputs:
                # by inputs: another batch size warms up alike
                weight *= min(1.0, at.inputs / c.kl_warmup_inputs)
            return {"recon": recon, "kl": kl, "total": recon + weight * kl / _numbers(x, mask)}
        q = out.quantised
        total = recon + c.commit_weight * q.commit + q.codebook
        return {"recon": recon, "commit": q.commit, "total": total}

    def _priced(self, error: Tensor, model: nn.Module) -> Tensor:
        """Mean pointwise error in the units of `recon`."""
        loss = self.config.loss
        if loss.reconstruction != "mse" or loss.scale == "none":
            return error
        if loss.scale == "variance":
            return error / model.variance
        # Bounded: a picture that is met exactly would be worth infinitely much.
        return 0.5 * (1 + torch.log(2 * torch.pi * error.clamp(min=1e-8)))

    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over all real pixels of the set; the codebook's report counts the whole set."""
        c = self.config.loss
        sums: Tensor | None = None
        count: CodebookCount | None = None
        for batch in batches:
            image, mask = batch["image"], batch.get("mask")
            scaled = model.scaling(image, mask)
            out = model(scaled.x) if isinstance(model, VAE) else model(scaled.x, mask)
            raw = out.recon.float()
            error = masked.POINTWISE[c.reconstruction](raw, scaled.x)
            drawn = self._grey(scaled.inverse, raw)
            # of logits a squared error means nothing
            squared = (raw - scaled.x).square() if c.reconstruction != "bce" else error * 0
            parts = [
                masked.masked_sums(value, mask)[0].double().sum()
                for value in (error, (drawn - image).abs(), squared)
            ]
            parts.append(masked.masked_sums(error, mask)[1].double().sum())
            parts.append(torch.tensor(float(len(image)), device=image.device).double())
            if isinstance(model, VAE):
                kl = masked.gaussian_kl(out.mu_BD.float(), out.logvar_BD.float())
                parts.append(kl.double().sum())
            else:
                q = out.quantised
                books, size = model.quantiser.books, model.quantiser.size
                count = count or CodebookCount(books, size, image.device)
                count.add(q.before_GND, q.after_GND, q.codes_GN, q.weight_N)
                parts.append((q.commit * len(image)).double() + 0 * (q.codebook).double())
            now = torch.stack(parts)
            sums = now if sums is None else sums + now
        if sums is None:
            raise DataError("expected at least one validation image, received none")
        error, grey, squared, numbers, seen, last = sums.tolist()
        recon = float(self._priced(torch.tensor(error / numbers, device=sums.device), model))
        result = {"recon": recon, "l1": grey / numbers}
        if c.reconstruction == "mse":
            result["nmse"] = squared / numbers / float(model.variance)
        if count is None:
            kl = last / seen
            return result | {"kl": kl, "loss": recon + c.kl_weight * kl / (numbers / seen)}
        report = count.report()
        return result | {
            "commit": last / seen,
            "loss": recon + c.commit_weight * last / seen,
            "started": float(cast(Quantiser, model.quantiser).started),
            "used_codes": float(report.used),
            "used_share": report.used_share,
            "perplexity": report.perplexity,
            "drift": report.drift,
        }

    def _grey(self, inverse: Any, raw: Tensor) -> Tensor:
        if self.config.loss.reconstruction == "bce":
            raw = torch.sigmoid(raw)
        return inverse(raw).clamp(0, 1)

    @torch.no_grad()
    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        """What is drawn is what was made; and padding, where there is any, counts nowhere."""
        image, mask = batch["image"], batch.get("mask")
        real = torch.ones_like(image) if mask is None else mask.expand_as(image)
        scaled = model.scaling(image, mask)
        lost = float(((scaled.inverse(scaled.x) - image) * real).abs().max())
        yield SelfTest(
            "scaling",
            lost < ROUNDING,
            f"{self.config.data.scaling} and back changes a grey value by at most {lost:.1e}",
            "picture-scaling",
        )
        # no padding in this batch: nothing to test
        if mask is None or bool((mask > 0).all()):
            return
        model.eval()
        filled = dict(batch, image=torch.where(real > 0, image, 1 - image))
        at = Position(step=0, inputs=0, epoch=0, seed=0)
        one, other = (float(self.loss(model, b, at)["recon"]) for b in (batch, filled))
        yield SelfTest(
            "padding",
            # to the bit: padding must not be in any sum
            one == other,
            f"{1 - float(mask.mean()):.0%} of the frames; the loss is "
            f"{one:.6g} with black padding and {other:.6g} with white",
        )

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        """Over an even sample of both parts: the best constant picture, and an output of zero."""
        c, model = self.config.loss, self._statistics()
        total = weight = None
        for batch in batches(data.train, 256, SURVEYED):
            x, w = self._weighed(model, batch)
            total = (x * w).sum(0) if total is None else total + (x * w).sum(0)
            weight = w.sum(0) if weight is None else weight + w.sum(0)
        best = total / weight.clamp(min=1)
        if c.reconstruction == "l1":
            best = self._median(model, data)
        if c.reconstruction == "bce":
            # a pixel that is always black would ask for a logit of minus infinity
            best = torch.logit(best.clamp(1e-4, 1 - 1e-4))
        point = masked.POINTWISE[c.reconstruction]
        sums = torch.zeros(4, dtype=torch.float64)
        for batch in batches(data.validation, 256, SURVEYED):
            x, w = self._weighed(model, batch)
            constant = best.expand_as(x)
            grey = self._grey(model.scaling.inverse, constant)
            zeros = torch.zeros_like(x)
            errors = (point(constant, x), point(zeros, x), (grey - batch["image"]).abs())
            sums += torch.stack([*((e * w).double().sum() for e in errors), w.double().sum()])
        constant, zero, grey = (sums[:3] / sums[3]).tolist()
        floor = float(self._priced(torch.tensor(constant), model))
        start = float(self._priced(torch.tensor(zero), model))
        return {
            "best constant": Floor("loss", floor, "best constant"),
            "best constant, recon": Floor("recon", floor, "best constant"),
            "best constant, l1": Floor("l1", grey, "best constant"),
            "initial loss": Floor("recon", start, "an output of zero"),
        }

    def _statistics(self) -> nn.Module:
        """A model for its scaling and variance alone; the caller's random stream is left alone."""
        if not hasattr(self, "_measured"):
            with torch.random.fork_rng(devices=[]):
                self._measured = self.build()
        return self._measured

    def _weighed(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        mask = batch.get("mask")
        x = model.scaling(batch["image"], mask).x
        return x, torch.ones_like(x) if mask is None else mask.expand_as(x)

    def _median(self, model: nn.Module, data: Splits) -> Tensor:
        """Median of each pixel over 256 pictures (padding counts as black: an upper bound)."""
        x = torch.cat([self._weighed(model, b)[0] for b in batches(data.train, 256, 256)])
        return x.median(0).values

    # -- to look at, and to use ------------------------------------------------------------------

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        image, mask = fixed["image"], fixed.get("mask")
        shown = self._rebuild(model, image, mask)
        rows = {
            "original": strip(image),
            "reconstruction": strip(shown),
            "difference x 3": strip(difference(shown, image)),
        }
        return {"reconstructions": Picture(rows, "The same validation pictures every time.")}

    @torch.no_grad()
    def _rebuild(self, model: nn.Module, image: Tensor, mask: Tensor | None) -> Tensor:
        scaled = model.scaling(image, mask)
        out = model(scaled.x) if isinstance(model, VAE) else model(scaled.x, mask)
        grey = self._grey(scaled.inverse, out.recon.float())
        return grey if mask is None else grey * mask

    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """See `tasks.codes.apply`: reconstruct, `encode`, `interpolate`, `sample` (vae)."""
        how = self.config.data.recipe(self.basis)
        unread: list[str] = []
        known(options, self.OPTIONS)
        done = apply_codes(model, self._draw, placed(inputs, how, unread), out, options)
        refuse_unread(unread, done)

    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Reconstructions in 0..1 of pictures CYX or BCYX in the model's frame; with `encode`
        their codes (vqvae: int32 BYXH or BYX; vae: z BD)."""
        return over_pictures(of_tensors(model, self._draw, options), inputs, self.basis["shape"])

    @torch.no_grad()
    def sample(self, model: nn.Module, count: int, seed: int, **options: Any) -> Tensor:
        """`count` pictures BCYX in 0..1 of a vae's prior. Raises ConfigError."""
        asked = {"sample": count, "seed": seed} | options
        return torch.cat(list(drawn(model, self._draw, *draws_of(model, asked))))

    def _draw(self, model: nn.Module, raw: Tensor) -> Tensor:
        return self._grey(model.scaling.inverse, raw)


def _numbers(x: Tensor, mask: Tensor | None) -> Tensor | float:
    """Real numbers of a picture, on average over the batch."""
    if mask is None:
        return float(x[0].numel())
    return mask.sum() * x.shape[1] / len(x)


def _one_channel(mask: Tensor | None, x: Tensor) -> Tensor | None:
    return None if mask is None else mask.expand_as(x).flatten(2).flatten(1)[:, None]
