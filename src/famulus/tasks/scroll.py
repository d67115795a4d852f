"""Scroll: can a net rebuild cubes of papyrus from CT, and can it see ink on them?

Shapes: B batch, D H W a cube (z, y, x), y x the coarse grid of ink logits.
Units: voxels are z-scored on the training region (or shares of full range); recon is their mean
squared or absolute error, kl nats per cube, bce nats per (coarse) pixel.
`loss` = recon + kl_weight * kl / (D H W) for a reconstruction; a weighted sum of bce, dice, focal
and tversky for ink, each pixel weighted so that the way cubes are drawn biases nothing; for
`joint`, recon + kl + ink_weight * ink.
Thresholds are chosen on validation only: the score f05 judges each half of the validation windows
at the threshold that the other half chose; the mean threshold is stored in the model.
Source: Kingma & Welling 2014, arXiv 1312.6114; losses as in `ops.segmentation`.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import tifffile
import torch
from PIL import Image
from pydantic import Field, model_validator
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.config.errors import ConfigError, DataError
from famulus.config.schema import Strict
from famulus.data import surface
from famulus.data.scroll_data import PHANTOM, Scroll, ScrollData, open_scroll, phantom
from famulus.data.source import Splits
from famulus.data.streams import sample_seeds
from famulus.data.surface_report import against_labels, by_distance, seams
from famulus.data.volumes import open_fragment
from famulus.models.autoencoder import Reconstruction
from famulus.models.cubes import layer_table
from famulus.models.ink import InkNet
from famulus.models.scroll_net import ScrollModel, build, ink_of
from famulus.ops import elbo, scores, segmentation
from famulus.ops.noise_scale import noise_scale
from famulus.ops.strip import difference, strip
from famulus.tasks.base import Batch, Floor, Parent, Picture, Position, Task

NOISE_ROWS = 1024
FLOOR_CUBES = 256
NOISE_BATCH = 4  # cubes of one small gradient
SHOWN_SD = 0.2  # grey levels of a picture for one sd of the voxels
OPTIONS = ["stride", "window", "margin", "flips", "z", "batch", "threshold", "labels", "mask"]


class ScrollLoss(Strict):
    """recon and kl, or the ink terms; each weight 0 leaves its term out."""

    reconstruction: Literal["l2", "l1"] = "l2"
    kl_weight: float = Field(0.01, ge=0, description="1 = ELBO of unit noise, for kl per voxel")
    ink_weight: float = Field(1.0, ge=0, description="joint: of the ink terms against recon")
    bce: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    dice: float = Field(0.0, ge=0, description="weight of the soft Dice loss")
    focal: float = Field(0.0, ge=0, description="weight of the focal loss")
    tversky: float = Field(0.0, ge=0, description="weight of the Tversky loss")
    gamma: float = Field(2.0, ge=0, description="focal: how much less easy pixels count")
    alpha: float = Field(0.5, ge=0, description="tversky: cost of a false pixel")
    beta: float = Field(0.5, ge=0, description="tversky: cost of a missed pixel")
    noise_scale: bool = Field(False, description="measure the gradient noise scale at validation")
    smoothing: float = Field(0.0, ge=0, lt=1, description="of labels, for bce and focal")


class ScrollConfig(Strict):
    parents: ClassVar[tuple[str, ...]] = ("pretrained",)
    optional_parents: ClassVar[tuple[str, ...]] = ("pretrained",)
    data: ScrollData = ScrollData()
    model: ScrollModel = ScrollModel()
    loss: ScrollLoss = ScrollLoss()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        m, c = self.model, self.loss
        if m.output == "sigmoid" and self.data.scale != "range":
            raise ValueError(
                "model.output sigmoid gives 0..1 and z-scored voxels leave that range: expected "
                "data.scale range, received zscore"
            )
        if m.inked and not (c.bce or c.dice or c.focal or c.tversky):
            raise ValueError("loss: expected a weight above 0 for bce, dice, focal or tversky")
        if m.stage == "pool" and (m.skip or m.mid != "none"):
            raise ValueError("model.skip and model.mid are parts of a block: use model.stage block")
        if m.freeze and m.kind != "ink":
            raise ValueError(f"model.freeze keeps an encoder for kind ink, received {m.kind}")
        return self


class ScrollTask(Task):
    Config = ScrollConfig

    def __init__(self, config: ScrollConfig, parents: Mapping[str, Parent]) -> None:
        super().__init__(config, parents)
        self._opened: Scroll | None = None
        self._noise: Tensor | None = None
        if config.model.freeze and not parents.get("pretrained"):
            raise ConfigError("model.freeze: nothing to keep: expected pretrained: RUN")

    # -- what is trained on what -------------------------------------------------------------

    @property
    def opened(self) -> Scroll:
        if self._opened is None:
            self._opened = open_scroll(self.config.data, self.config.model.inked)
        return self._opened

    def data(self) -> Splits:
        return self.opened.splits

    def build(self) -> nn.Module:
        m = self.config.model
        prior = self.opened.prevalence if m.inked else None
        try:
            net = build(m, self.config.data.size, prior)
            if parent := self.parents.get("pretrained"):
                if not isinstance(net, InkNet):
                    raise ValueError(f"pretrained is for kind ink, received {m.kind}")
                net.load_encoder(dict(parent.weights))
                for parameter in net.encoder.parameters():
                    parameter.requires_grad_(not m.freeze)
        except ValueError as error:
            raise ConfigError(f"model: {error}") from None
        return net

    def on_inputs(self, model: nn.Module, at: Position) -> None:
        if self.config.model.freeze:  # else batch statistics would go on moving
            model.encoder.eval()

    def facts(self) -> dict[str, Any]:
        opened, size = self.opened, self.config.data.size
        with torch.random.fork_rng(devices=[]):
            table = layer_table(self.build(), (1, *size))
        facts: dict[str, Any] = {
            "layers": [f"{name}: {shape}, {count:,}" for name, shape, count in table],
            "scale": f"(voxel - {opened.scale.mean:.6g}) / {opened.scale.sd:.6g}",
            **opened.facts,
        }
        truth = opened.validation.truth
        if self.config.model.inked and truth is not None:
            mask = opened.validation.mask
            exact, drawn = (torch.from_numpy(a[mask]) for a in (truth, opened.validation.labels))
            ceiling = scores.at_threshold(exact.float(), drawn, 0.5)
            facts["oracle"] = f"the exact ink scores f05 {ceiling:.3f} against the drawn labels"
        return facts

    # -- loss and scores ---------------------------------------------------------------------

    def _rebuilt(self, out: Reconstruction, image: Tensor, weight: float) -> dict[str, Tensor]:
        c = self.config.loss
        error = out.raw[:, :1] - image
        recon = (error.square() if c.reconstruction == "l2" else error.abs()).mean()
        if out.mu is None:
            return {"recon": recon, "total": recon}
        kl = elbo.gaussian_kl(out.mu, out.log_sigma).sum(1).mean()
        return {"recon": recon, "kl": kl, "total": recon + weight * kl / image[0].numel()}

    def _ink(self, logits: Tensor, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Terms by name and their weighted sum."""
        c = self.config.loss
        target, weight = self._coarse(batch, logits)
        soft = segmentation.smoothed(target, c.smoothing)
        terms = {
            "bce": lambda: segmentation.bce(logits, soft, weight),
            "dice": lambda: segmentation.dice(logits, target, weight),
            "focal": lambda: segmentation.focal(logits, soft, weight, c.gamma),
            "tversky": lambda: segmentation.tversky(logits, target, weight, c.alpha, c.beta),
        }
        parts = {name: term() for name, term in terms.items() if getattr(c, name)}
        return parts, sum(getattr(c, name) * value for name, value in parts.items())

    def _coarse(self, batch: Batch, logits: Tensor) -> tuple[Tensor, Tensor]:
        factor = batch["label"].shape[-1] // logits.shape[-1]
        return tuple(segmentation.coarsened(batch[k], factor) for k in ("label", "weight"))

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        c, m = self.config.loss, self.config.model
        if not m.inked:
            return self._rebuilt(model(batch["image"]), batch["image"], c.kl_weight)
        logits, out = ink_of(model, batch["image"])
        parts, ink = self._ink(logits.float(), batch)
        if m.kind != "joint":
            return {**parts, "total": ink}
        whole = self._rebuilt(out, batch["image"], c.kl_weight)
        return {**whole, **parts, "total": whole["total"] + c.ink_weight * ink}

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over the validation windows; ink scores over all their pixels at once."""
        m, c = self.config.model, self.config.loss
        sums: dict[str, float] = {}
        small: list[tuple[Tensor, int]] = []
        maps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        seen = 0
        for batch in batches:
            image = batch["image"]
            if m.rebuilds:
                noise = self._noise_for(batch["index"]) if m.kind != "autoencoder" else None
                parts = self._rebuilt(model(image, noise), image, c.kl_weight)
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(image)
            if m.inked:
                logits = ink_of(model, image)[0].float()
                target, weight = self._coarse(batch, logits)
                half = (batch["index"] % 2 == 0)[:, None, None].expand_as(logits)
                maps.append(tuple(t.cpu() for t in (logits, target, weight, half)))
            if c.noise_scale:
                for part in range(0, len(image), NOISE_BATCH):
                    piece = {k: v[part : part + NOISE_BATCH] for k, v in batch.items()}
                    small.append((self._gradient(model, piece), len(piece["image"])))
            seen += len(image)
        if not seen:
            raise DataError("expected at least one validation cube, received none")
        result = {name: value / seen for name, value in sums.items()}
        if m.rebuilds:
            result["loss"] = result.pop("total")
        if m.inked:
            ink = self._ink_scores(model, *(torch.cat(t) for t in zip(*maps, strict=True)))
            loss = ink.pop("loss")
            result = {"loss": result.get("loss", 0.0) + (c.ink_weight * loss if result else loss)}
            result |= ink | {n: v / seen for n, v in sums.items() if n in ("recon", "kl")}
        if len(small) > 1:
            result["noise scale"] = noise_scale(small)
        return result

    @torch.enable_grad()
    def _gradient(self, model: nn.Module, batch: Batch) -> Tensor:
        """Of the training loss in eval mode, all parameters in one vector; leaves no trace."""
        trained = [p for p in model.parameters() if p.requires_grad]
        total = self.loss(model, batch, Position(0, 0, 0, 0))["total"]
        found = torch.autograd.grad(total, trained, allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    def _ink_scores(
        self, model: nn.Module, logits: Tensor, target: Tensor, weight: Tensor, half: Tensor
    ) -> dict[str, float]:
        """From all pixels of the validation region. Sets the model's threshold."""
        c = self.config.loss
        value = {"bce": segmentation.bce(logits, target, weight)}
        value["dice"] = segmentation.dice(logits, target, weight)
        value["focal"] = segmentation.focal(logits, target, weight, c.gamma)
        value["tversky"] = segmentation.tversky(logits, target, weight, c.alpha, c.beta)
        loss = sum(getattr(c, name) * v for name, v in value.items() if getattr(c, name))
        counted = weight > 0.5
        p, hard = logits[counted].sigmoid(), (target[counted] >= 0.5).to(torch.uint8)
        both = 0 < int(hard.sum()) < hard.numel()
        f05, threshold = scores.cross_fitted(p, hard, half[counted]) if both else (0.0, 0.5)
        curve = scores.curve(p, hard)
        if np.isfinite(threshold):
            model.threshold.fill_(threshold)
        return {
            "loss": float(loss),
            "bce": float(value["bce"]),
            "auc": scores.auc(curve) if both else 0.5,
            "ap": scores.average_precision(curve) if both else 0.0,
            "f05": f05 if np.isfinite(f05) else 0.0,
            "dice": scores.at_threshold(p, hard, float(model.threshold), beta=1.0),
            "predicted prevalence": float(p.mean()),
            "prevalence": float(hard.double().mean()),
        }

    def _noise_for(self, index_B: Tensor) -> Tensor:
        if self._noise is None or self._noise.device != index_B.device:
            self._noise = elbo.noise_table(NOISE_ROWS, self.config.model.code).to(index_B.device)
        return elbo.fixed_noise(index_B, self._noise)

    # -- what nothing learned scores -----------------------------------------------------------

    def floors(self, data: Splits) -> dict[str, Floor]:
        m, floors = self.config.model, {}
        held = _some(data.validation)
        if m.rebuilds:
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
            floors["own level"] = Floor("recon", float(own), "each cube's own level")
        if m.inked:
            floors |= self._ink_floors(held)
        return floors

    def _ink_floors(self, held: Batch) -> dict[str, Floor]:
        """The constant at the training base rate, and the maps of chance and of calling all ink."""
        factor = self.config.model.coarse if self.config.model.kind == "ink" else 1
        target, weight = (segmentation.coarsened(held[k], factor) for k in ("label", "weight"))
        rate = self.opened.prevalence or 0.5
        constant = torch.full_like(target, float(np.log(rate / (1 - rate))))
        bce = float(segmentation.bce(constant, target, weight))
        share = float((target[weight > 0.5] >= 0.5).double().mean())
        floors = {
            "best constant": Floor("bce", bce, "best constant"),
            "chance": Floor("auc", 0.5, "chance"),
            "chance, ap": Floor("ap", share, "chance"),
            "everything": Floor("f05", scores.everything(share), "everything in the mask is ink"),
        }
        c = self.config.loss
        if c.bce and not (c.dice or c.focal or c.tversky) and self.config.model.kind != "joint":
            floors["best constant, loss"] = Floor("loss", c.bce * bce, "best constant")
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
            for axis, name in enumerate("zyx"):
                a, b = (t.select(2 + axis, middle[axis]) for t in (drawn, shown))
                rows = {"original": a, "reconstruction": b, "difference x 3": difference(b, a)}
                rows = {label: strip(row) for label, row in rows.items()}
                pictures[f"slice {name}"] = Picture(rows, f"Middle planes across {name}.")
            near = {
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
        """The whole surface of a fragment in `out`: `prediction.tif` (float32: share of ink, or
        the rebuilt middle plane), `prediction.png`, `overlay.png` and `report.json` with the seam
        ratio and, where labels are found, the scores at the model's own threshold.

        `inputs` is a path, or `papyrus-SEED` for a phantom. Options: stride, window (hann,
        gaussian, linear, constant), margin, flips (1, 2, 4), z, batch, threshold, labels, mask.
        Interrupted, it goes on at the next call. Raises ConfigError, DataError.
        """
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise ConfigError(f"apply: expected {', '.join(OPTIONS)}, received {unknown[0]}")
        size, inked = self.config.data.size, self.config.model.inked
        name, _, seed = inputs.name.partition("-")
        if not inputs.exists() and name == PHANTOM and seed.isdigit():
            fragment = phantom(self.config.data.phantom.recipe(int(seed))).fragment()
        else:
            files = [Path(options[k]) if options.get(k) else None for k in ("labels", "mask")]
            fragment = open_fragment(inputs, *files)
        how = surface.How(
            stride=int(options.get("stride", max(1, size[1] // 2))),
            window=str(options.get("window", "hann")),
            margin=int(options.get("margin", 0)),
            flips=int(options.get("flips", 1)),
            z=options.get("z"),
            batch=int(options.get("batch", 8)),
        )
        out.mkdir(parents=True, exist_ok=True)
        device = next(model.parameters()).device
        model.eval()
        weights = sum(float(p.detach().double().abs().sum()) for p in model.parameters())
        rows = surface.predict_surface(
            fragment, size, self.opened.scale, self._mapper(model), how, out, f"{weights}", device
        )
        for _ in track(rows, "rows of windows", total=None, transient=True):
            pass
        made = surface.finished(out, fragment.volume.shape[1:])
        tifffile.imwrite(out / "prediction.tif", made, compression="zlib")
        shown = np.clip(made if inked else 0.5 + SHOWN_SD * made, 0, 1)
        Image.fromarray((shown * 255).round().astype(np.uint8)).save(out / "prediction.png")
        plane = surface.middle_plane(fragment)
        surface.overlay(plane, made if inked else 0 * made, fragment.mask).save(out / "overlay.png")
        report = {"averaged": "probabilities" if inked else "values", **vars(how)}
        report |= seams(made, how.stride)
        if inked and fragment.labels is not None and fragment.labels.ndim == 2:
            at = float(options.get("threshold", model.threshold))
            report |= against_labels(fragment, made, at)
            report |= by_distance(fragment, size, self.opened.scale, self._mapper(model), device)
        (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        surface.clear(out)

    def _mapper(self, model: nn.Module) -> surface.Predict:
        """B1DHW to BHW: probability of ink (averaged as such), or the middle plane."""

        def predict(image: Tensor) -> Tensor:
            if not self.config.model.inked:
                return model(image).raw[:, 0, image.shape[2] // 2]
            p = ink_of(model, image)[0].float().sigmoid()
            return F.interpolate(p[:, None], image.shape[-2:], mode="bilinear")[:, 0]

        return predict


def _some(source: Any) -> Batch:
    """Up to `FLOOR_CUBES` samples, as the loop would hand them over."""
    count = min(FLOOR_CUBES, len(source))
    indices = np.unique(np.linspace(0, len(source) - 1, count).astype(np.int64))
    seeds = sample_seeds(0, 7, indices)
    return source.finish(source.gather(indices, seeds), seeds)
