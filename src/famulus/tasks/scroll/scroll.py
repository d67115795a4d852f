"""Scroll: can a net rebuild cubes of papyrus from CT, and can it see ink on them?

Shapes: B batch, D H W a cube (z, y, x), y x the coarse grid of ink logits.
Units: voxels are z-scored on the training region (or shares of full range); recon is their mean
squared or absolute error, kl nats per cube, bce nats per (coarse) pixel.
`loss` = recon + kl_weight * kl / (D H W) for a reconstruction; a weighted sum of bce, dice, focal
and tversky for ink, each pixel weighted so that the way cubes are drawn biases nothing; for
`joint`, recon + kl + ink_weight * ink.
Ink is judged on pixels of `model.coarse` x `model.coarse`, whatever the net's own grid, so that
formulations can be compared; the loss is that of the net's own grid.
Thresholds are chosen on validation only: the score f05 judges each half of the validation windows
at the threshold that the other half chose; the mean threshold is stored in the model.
Source: Kingma & Welling 2014, arXiv 1312.6114; losses as in `tasks.scroll.segmentation_losses`.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.config.apply_options import share
from famulus.config.errors import ConfigError, DataError
from famulus.feed.source import Splits
from famulus.feed.streams import sample_seeds
from famulus.images.strip import difference, strip
from famulus.nets import elbo
from famulus.nets.autoencoder import Reconstruction
from famulus.nets.noise_scale import NoiseScale, advice
from famulus.tasks.base import (
    Batch,
    Facts,
    Floor,
    Parent,
    Picture,
    Position,
    Proposal,
    SelfTest,
    Task,
    made_up,
)
from famulus.tasks.scroll import binary_scores as scores
from famulus.tasks.scroll import ink_loss as ink
from famulus.tasks.scroll import surface_apply
from famulus.tasks.scroll.cubes import Scale, Voxels, carried
from famulus.tasks.scroll.cubes_net import layer_table
from famulus.tasks.scroll.data import Scroll, open_scroll
from famulus.tasks.scroll.ink_net import InkNet
from famulus.tasks.scroll.net import build, ink_of, period_of
from famulus.tasks.scroll.proposal import scroll_proposal
from famulus.tasks.scroll.scores import SCROLL
from famulus.tasks.scroll.seams import constant_error
from famulus.tasks.scroll.settings import ScrollConfig
from famulus.tasks.scroll.surface import SHOWN_SD, Predict
from famulus.volumes.look import look
from famulus.volumes.open import Fragment

NOISE_ROWS = 1024  # validation noise; sample i meets row i mod 1024
FLOOR_CUBES = 256
NOISE_BATCH = 4  # cubes of one small gradient


class ScrollTask(Task):
    Config = ScrollConfig
    SCORES = SCROLL
    OPTIONS = surface_apply.OPTIONS

    def __init__(self, config: ScrollConfig, parents: Mapping[str, Parent]) -> None:
        super().__init__(config, parents)
        self._opened: Scroll | None = None
        self._noise: Tensor | None = None
        if config.model.freeze and not parents.get("pretrained"):
            raise ConfigError("model.freeze: nothing to keep: expected pretrained: RUN")

    # -- what is trained on what -------------------------------------------------------------

    @classmethod
    def proposal(cls, name: str) -> Proposal:
        return scroll_proposal(look(name, verify=False))

    @property
    def opened(self) -> Scroll:
        if self._opened is None:
            self._opened = open_scroll(self.config.data, self.config.model.inked)
        return self._opened

    def data(self) -> Splits:
        return self.opened.splits

    def built_from(self, data: Splits) -> dict[str, Any]:
        opened = self.opened
        voxels = Voxels.of(opened.train)
        return {
            "scale": {"mean": opened.scale.mean, "sd": opened.scale.sd},
            "voxels": {"dtype": voxels.dtype, "window": voxels.window and list(voxels.window)},
            "prevalence": opened.prevalence,
        }

    def build(self) -> nn.Module:
        model = self.config.model
        prior = self.basis["prevalence"] if model.inked else None
        # a wrong shape is the file's fault: said as such, without a traceback
        try:
            net = build(model, self.config.data.size, prior)
            if parent := self.parents.get("pretrained"):
                if not isinstance(net, InkNet):
                    raise ValueError(f"pretrained is for kind ink, received {model.kind}")
                if self.stored is None:  # else its weights are among our own
                    net.load_encoder(dict(parent.weights))
                for parameter in net.encoder.parameters():
                    parameter.requires_grad_(not model.freeze)
        except ValueError as error:
            raise ConfigError(f"model: {error}") from None
        return net

    def example(self, model: nn.Module) -> tuple[Tensor, ...]:
        """Two cubes of the mean and the spread that the scaling gives (of -2 to 2)."""
        return (4 * made_up(2, 1, *self.config.data.size) - 2,)

    def on_inputs(self, model: nn.Module, at: Position) -> None:
        if self.config.model.freeze:  # else batch statistics would go on moving
            model.encoder.eval()

    def facts(self) -> Facts:
        opened, size = self.opened, self.config.data.size
        # a table must not draw from the stream that starts the weights
        with torch.random.fork_rng(devices=[]):
            table = layer_table(self.build(), (1, *size))
        shown: dict[str, Any] = {
            "layers": [f"{name}: {shape}, {count:,}" for name, shape, count in table],
            "scale": f"(voxel - {opened.scale.mean:.6g}) / {opened.scale.sd:.6g}",
            **opened.facts,
        }
        if opened.train.window:
            shown["window"] = "{:g} to {:g} are 0 to full range".format(*opened.train.window)
        held = opened.validation
        if self.config.model.inked and all(f.truth is not None for f in held):
            exact, drawn = (
                torch.from_numpy(np.concatenate([getattr(f, what)[f.mask] for f in held]))
                for what in ("truth", "labels")
            )
            ceiling = scores.at_threshold(exact.float(), drawn, 0.5)
            shown["oracle"] = f"the exact ink scores f05 {ceiling:.3f} against the drawn labels"
        return Facts(shown=shown)

    # -- loss and scores ---------------------------------------------------------------------

    def _rebuilt(self, out: Reconstruction, image: Tensor, weight: float) -> dict[str, Tensor]:
        loss = self.config.loss
        # only the first channel: joint's second is ink
        error = out.raw[:, :1] - image
        recon = (error.square() if loss.reconstruction == "l2" else error.abs()).mean()
        if out.mu is None:
            return {"recon": recon, "total": recon}
        kl = elbo.gaussian_kl(out.mu, out.log_sigma).sum(1).mean()
        # per voxel, as recon is: so a weight means the same for cubes of any size
        return {"recon": recon, "kl": kl, "total": recon + weight * kl / image[0].numel()}

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        loss, settings = self.config.loss, self.config.model
        if not settings.inked:
            return self._rebuilt(model(batch["image"]), batch["image"], loss.kl_weight)
        logits, out = ink_of(model, batch["image"])
        target, weight = ink.coarse(batch["label"], batch["weight"], logits)
        # under autocast logits are half precision, and so would be the sums of their losses
        parts = loss.terms.values(logits.float(), target, weight)
        total = loss.terms.total(parts)
        if settings.kind != "joint":
            return {**parts, "total": total}
        whole = self._rebuilt(out, batch["image"], loss.kl_weight)
        return {**whole, **parts, "total": whole["total"] + loss.ink_weight * total}

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over the validation windows; ink scores over all their pixels at once.

        Where there are several fragments, `auc spread` says how far chance goes on one of them.
        """
        m, c = self.config.model, self.config.loss
        sums: dict[str, float] = {}
        noise = NoiseScale()
        maps: list[tuple[Tensor, ...]] = []
        seen = 0
        for batch in batches:
            image = batch["image"]
            if m.rebuilds:
                # the same noise for a sample at every validation: a curve would carry its scatter
                # else
                fixed = self._noise_for(batch["index"]) if m.kind != "autoencoder" else None
                parts = self._rebuilt(model(image, fixed), image, c.kl_weight)
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(image)
            if m.inked:
                logits = ink_of(model, image)[0].float()
                target, weight = ink.coarse(batch["label"], batch["weight"], logits)
                # windows lie side by side: every second one, so that both halves see every part of
                # the region
                half = batch["index"] % 2 == 0
                whose = batch.get("fragment", torch.zeros_like(batch["index"]))
                maps.append(tuple(t.cpu() for t in (logits, target, weight, half, whose)))
            if c.noise_scale:
                for part in range(0, len(image), NOISE_BATCH):
                    # small pieces: the noise scale needs gradients of two sizes, and these are the
                    # small ones
                    piece = {k: v[part : part + NOISE_BATCH] for k, v in batch.items()}
                    noise.add(self._gradient(model, piece), len(piece["image"]))
            seen += len(image)
        if not seen:
            raise DataError("expected at least one validation cube, received none")
        result = {name: value / seen for name, value in sums.items()}
        if m.rebuilds:
            result["loss"] = result.pop("total")
        if m.inked:
            *whole, half, whose = (torch.cat(t) for t in zip(*maps, strict=True))
            found, threshold = ink.judged(*whole, half, c.terms, m.finer)
            found |= ink.auc_spread(*ink.on_grid(*whole, m.finer), whose)
            # where none can be chosen the model keeps the one it has
            if np.isfinite(threshold):
                model.threshold.fill_(threshold)
            # joint: the reconstruction's loss is already there, and ink counts beside it
            loss = found.pop("loss")
            result = {"loss": result.get("loss", 0.0) + (c.ink_weight * loss if result else loss)}
            result |= found | {n: v / seen for n, v in sums.items() if n in ("recon", "kl")}
        if noise.count > 1:
            result["noise scale"] = noise.value
        return result

    def conclusions(self, scores: Mapping[str, float], examples: int) -> dict[str, Any]:
        """What the noise scale says of the batch, if it was measured."""
        scale = scores.get("noise scale")
        return {} if scale is None else {"advice": advice(scale, examples)}

    @torch.enable_grad()
    def _gradient(self, model: nn.Module, batch: Batch) -> Tensor:
        """Of the training loss in eval mode, all parameters in one vector; leaves no trace."""
        trained = [p for p in model.parameters() if p.requires_grad]
        total = self.loss(model, batch, Position(0, 0, 0, 0))["total"]
        gradients = torch.autograd.grad(total, trained, allow_unused=True)
        return torch.cat([g.flatten() for g in gradients if g is not None])

    def _noise_for(self, index_B: Tensor) -> Tensor:
        if self._noise is None or self._noise.device != index_B.device:
            self._noise = elbo.noise_table(NOISE_ROWS, self.config.model.code).to(index_B.device)
        return elbo.fixed_noise(index_B, self._noise)

    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        """A constant through the blend of windows that `apply` uses unless told otherwise."""
        side = self.config.data.size[1]
        error = constant_error(side, max(1, side // 2))
        text = f"a constant through overlapping windows of {side} comes out within {error:.2g}"
        remedy = "divide by the sum of the windows' weights, at the borders too"
        yield SelfTest("blending", error < 1e-6, text, "seams", remedy)

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        settings, floors = self.config.model, {}
        held = _some(data.validation)
        if settings.rebuilds:
            trained = _some(data.train)["image"].double()
            image = held["image"].double()
            if self.config.loss.reconstruction == "l2":
                best = (image - trained.mean()).square().mean()
                own = (image - image.mean((1, 2, 3, 4), keepdim=True)).square().mean()
            else:
                best = (image - trained.median()).abs().mean()
                middle = image.flatten(1).median(1).values[:, None, None, None, None]
                own = (image - middle).abs().mean()
            floors["best constant"] = Floor("recon", float(best), "best constant")
            if not settings.inked:  # a constant's posterior is the prior: kl 0
                floors["best constant, loss"] = Floor("loss", float(best), "best constant")
            floors["own level"] = Floor("recon", float(own), "each cube's own level")
        if settings.inked:
            floors |= self._ink_floors(held)
        return floors

    def _ink_floors(self, held: Batch) -> dict[str, Floor]:
        """The constant at the training base rate, and the maps of chance and of calling all ink."""
        settings = self.config.model
        terms, rate = self.config.loss.terms, self.opened.prevalence or 0.5

        def constants(factor: int) -> tuple[dict[str, float], float]:
            target, weight = (ink.coarsened(held[k], factor) for k in ("label", "weight"))
            return ink.constants(target, weight, rate, terms)

        constant, share = constants(settings.coarse)
        floors = {
            "best constant": Floor("bce", constant["bce"], "best constant"),
            "chance": Floor("auc", 0.5, "chance"),
            "chance, ap": Floor("ap", share, "chance"),
            "everything": Floor("f05", scores.everything(share), "everything in the mask is ink"),
        }
        if "loss" in constant and settings.kind != "joint":
            own = constants(settings.coarse // settings.finer)[0]["loss"]  # of the net's own pixels
            floors["best constant, loss"] = Floor("loss", own, "best constant")
        return floors

    # -- to look at, and to use ------------------------------------------------------------------

    @torch.no_grad()
    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        image, m = fixed["image"], self.config.model
        pictures = {}
        if m.rebuilds:
            out = model(image)  # eval mode: the code itself, without noise
            shown, drawn = self._grey(out.raw[:, :1]), self._grey(image)
            middle = [n // 2 for n in image.shape[2:]]
            # one plane has no slices across the others
            for axis, name in enumerate("zyx" if image.shape[2] > 1 else "z"):
                a, b = (t.select(2 + axis, middle[axis]) for t in (drawn, shown))
                rows = {"original": a, "reconstruction": b, "difference x 3": difference(b, a)}
                rows = {label: strip(row) for label, row in rows.items()}
                pictures[f"slice-{name}"] = Picture(rows, f"Middle planes across {name}.")
            near = {
                # nearest: enlarging must not smooth what is judged by eye
                label: strip(F.interpolate(t.select(2, middle[0])[:3], scale_factor=4))
                for label, t in (("original", drawn), ("reconstruction", shown))
            }
            pictures["zoom"] = Picture(near, "The first three, four times larger.")
        if m.inked:
            logits = ink_of(model, image)[0].float()
            p = F.interpolate(logits.sigmoid()[:, None], image.shape[-2:])
            plane = self._grey(image.select(2, image.shape[2] // 3))
            rows = {"papyrus": plane, "label": fixed["label"][:, None], "prediction": p}
            rows = {label: strip(row) for label, row in rows.items()}
            pictures["ink"] = Picture(rows, "A plane near the surface; label; predicted share.")
        return pictures

    def _grey(self, image: Tensor) -> Tensor:
        return image if self.config.data.scale == "range" else 0.5 + SHOWN_SD * image

    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        """A whole fragment in `out`: of ink the map `prediction.tif` (float32, share of ink), its
        `overlay.png` and, where labels are found, the scores at the model's own threshold; of a
        reconstruction the volume, in the type of the input; `prediction.png` and `report.json`
        with the seam ratios of both.

        `inputs` is a path, or `papyrus-SEED` for a phantom. Options: stride, window (hann,
        gaussian, linear, constant), margin (auto: measured first), flips (1, 2, 4), z, batch,
        threshold, labels, mask, format (tif, npy: of a volume), channel, time, range (the run's
        own data.range unless named). Interrupted, it goes on at the next call.
        Raises ConfigError, DataError.
        """
        given = inputs, self.config.data.phantom, options, self.config.data.range
        self._map(model, lambda: surface_apply.opened(*given), out, options)

    @torch.no_grad()
    def use(self, model: nn.Module, inputs: Tensor, options: Mapping[str, Any]) -> Tensor:
        """Of a volume ZYX the map YX of ink (probability), or the volume rebuilt, in its units.
        Options as of a file, `labels` and `mask` as arrays."""
        with TemporaryDirectory() as folder:
            given = inputs.cpu().numpy(), options
            self._map(model, lambda: surface_apply.of_arrays(*given), Path(folder), options)
            # read whole before the folder goes
            return torch.from_numpy(tifffile.imread(Path(folder) / "prediction.tif"))

    def _map(
        self,
        model: nn.Module,
        opened: Callable[[], Fragment],
        out: Path,
        options: Mapping[str, Any],
    ) -> None:
        size, settings = self.config.data.size, self.config.model
        how, auto = surface_apply.how_of(options, size)
        at = share(options, "threshold") if "threshold" in options else None
        model.eval()
        # the sum of all weights stands for them: a partial map of another net is never continued
        weights = sum(float(p.detach().double().abs().sum()) for p in model.parameters())
        fragment, basis = opened(), self.basis
        scale = Scale(**basis["scale"])
        if trained := basis.get("voxels"):
            window = trained["window"] and tuple(trained["window"])
            known = Voxels(trained["dtype"], window)
            scale = carried(scale, known, Voxels.of(fragment), fragment.name)
        surface_apply.note_unlike(fragment, scale, self.config.data.scale)
        use = surface_apply.Use(
            fragment,
            size,
            scale,
            self._mapper(model),
            how,
            auto,
            identity=f"{settings.kind} {weights}",
            period=period_of(settings),
            device=next(model.parameters()).device,
        )
        if settings.inked:
            surface_apply.ink_map(use, out, float(model.threshold) if at is None else at)
        else:
            surface_apply.volume(use, out, str(options.get("format", "tif")))

    def _mapper(self, model: nn.Module) -> Predict:
        """B1DHW to BHW, probability of ink (averaged as such), or to the rebuilt BDHW."""

        def predict(image: Tensor) -> Tensor:
            if not self.config.model.inked:
                return model(image).raw[:, 0]
            p = ink_of(model, image)[0].float().sigmoid()
            # smooth between coarse pixels; a probability is averaged, so it is enlarged as such
            return F.interpolate(p[:, None], image.shape[-2:], mode="bilinear")[:, 0]

        return predict


def _some(source: Any) -> Batch:
    """Up to `FLOOR_CUBES` samples, as the loop would hand them over."""
    count = min(FLOOR_CUBES, len(source))
    # evenly over the split: its first cubes would be one corner of a fragment
    indices = np.unique(np.linspace(0, len(source) - 1, count).astype(np.int64))
    seeds = sample_seeds(0, 7, indices)
    return source.finish(source.gather(indices, seeds), seeds)
