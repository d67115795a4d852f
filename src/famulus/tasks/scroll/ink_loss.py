"""Ink as a binary map: the weighted sum of losses that trains it, and the scores that judge it.

Shapes: N windows of Y X pixels (coarse ones, where the net is coarse); `target` may be a share.
Units: bce and focal in nats a pixel; see `tasks.scroll.segmentation_losses`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from famulus.tasks.scroll import binary_scores as scores
from famulus.tasks.scroll import segmentation_losses as segmentation
from famulus.tasks.scroll.segmentation_losses import coarsened


@dataclass(frozen=True)
class Terms:
    """Weights of the losses, 0 leaves one out, and what shapes them."""

    bce: float = 1.0
    dice: float = 0.0
    focal: float = 0.0
    tversky: float = 0.0
    gamma: float = 2.0
    alpha: float = 0.5
    beta: float = 0.5
    smoothing: float = 0.0

    @property
    def any(self) -> bool:
        return bool(self.bce or self.dice or self.focal or self.tversky)

    @property
    def entropy_alone(self) -> bool:
        """Whether the cross-entropy is all there is: its floor is then the loss's floor."""
        return bool(self.bce) and not (self.dice or self.focal or self.tversky)

    def values(self, logits: Tensor, target: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Those with a weight, by name."""
        soft = segmentation.smoothed(target, self.smoothing)
        losses = {
            "bce": lambda: segmentation.bce(logits, soft, weight),
            "dice": lambda: segmentation.dice(logits, target, weight),
            "focal": lambda: segmentation.focal(logits, soft, weight, self.gamma),
            "tversky": lambda: segmentation.tversky(logits, target, weight, self.alpha, self.beta),
        }
        return {name: term() for name, term in losses.items() if getattr(self, name)}

    def total(self, values: dict[str, Tensor]) -> Tensor:
        """sum of weight x value."""
        return sum(getattr(self, name) * value for name, value in values.items())  # type: ignore[return-value]


def coarse(label: Tensor, weight: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Label and weight (NHW) on the grid of the logits (Nyx)."""
    factor = label.shape[-1] // logits.shape[-1]
    return coarsened(label, factor), coarsened(weight, factor)


def pooled(logits: Tensor, factor: int) -> Tensor:
    """Nyx: logits of the mean probability of `factor` x `factor` pixels (of NYX), in any range."""
    if factor == 1:
        return logits
    blocks = logits.unfold(1, factor, factor).unfold(2, factor, factor).flatten(-2)
    # in logarithms: a probability of a confident net is 1 in float32, and its logit infinite
    return F.logsigmoid(blocks).logsumexp(-1) - F.logsigmoid(-blocks).logsumexp(-1)


def on_grid(
    logits: Tensor, target: Tensor, weight: Tensor, factor: int
) -> tuple[Tensor, Tensor, Tensor]:
    """All three on a grid `factor` times coarser, on which nets of any grid are judged alike."""
    return pooled(logits, factor), coarsened(target, factor), coarsened(weight, factor)


def judged(
    logits: Tensor, target: Tensor, weight: Tensor, half_N: Tensor, terms: Terms, factor: int = 1
) -> tuple[dict[str, float], float]:
    """(scores from all pixels at once, threshold), all NYX; labels are taken as they are.

    The loss is that of the pixels as they are given; all else is judged `on_grid`. f05 judges each
    half of the windows (`half_N`, bool) at the threshold that the other half chose; the threshold
    returned is the mean of both, NaN or infinite where none can be chosen.
    """
    # smoothing is of training: with it no net reaches 0 and runs of other smoothings don't compare
    plain = Terms(**{**vars(terms), "smoothing": 0.0})
    # before the common grid: it is the loss that was trained, comparable within one formulation
    loss = float(plain.total(plain.values(logits, target, weight)))
    logits, target, weight = on_grid(logits, target, weight, factor)
    half = half_N[:, None, None].expand_as(logits)
    # a coarse pixel that lies mostly outside the mask has no label of its own
    counted = weight > 0.5
    p, hard = logits[counted].sigmoid(), (target[counted] >= 0.5).to(torch.uint8)
    # one class alone has no AUC and no threshold; chance stands in for both
    both = 0 < int(hard.sum()) < hard.numel()
    f05, threshold = scores.cross_fitted(p, hard, half[counted]) if both else (0.0, 0.5)
    curve = scores.curve(p, hard)
    # an infinite threshold calls nothing: no threshold at all
    usable = threshold if np.isfinite(threshold) else 0.5
    return {
        "loss": loss,
        "bce": float(segmentation.bce(logits, target, weight)),
        "auc": scores.auc(curve) if both else 0.5,
        "ap": scores.average_precision(curve) if both else 0.0,
        "f05": f05 if np.isfinite(f05) else 0.0,
        "dice": scores.at_threshold(p, hard, usable, beta=1.0),
        "predicted prevalence": float(p.mean()),
        "prevalence": float(hard.double().mean()),
    }, threshold


def auc_spread(logits: Tensor, target: Tensor, weight: Tensor, group_N: Tensor) -> dict[str, float]:
    """{"auc spread": sd, with n - 1, over the groups of windows of each group's own AUC}.

    A group whose pixels lack one of both values has none; empty where fewer than two have one.
    spread / sqrt(groups) is the standard error of an AUC over all of them.
    """
    aucs = []
    for group in group_N.unique():
        counted = (weight > 0.5) & (group_N == group)[:, None, None]
        hard = (target[counted] >= 0.5).to(torch.uint8)
        if 0 < int(hard.sum()) < hard.numel():
            aucs.append(scores.auc(scores.curve(logits[counted].sigmoid(), hard)))
    # n - 1: fragments are few
    return {"auc spread": float(np.std(aucs, ddof=1))} if len(aucs) > 1 else {}


def constants(
    label: Tensor, weight: Tensor, rate: float, terms: Terms
) -> tuple[dict[str, float], float]:
    """What the constant `rate` scores on these labels, and the share of them that is ink."""
    # finite: the rate is held away from 0 and 1 by the region's having both values
    logits = torch.full_like(label, float(np.log(rate / (1 - rate))))
    found = {"bce": float(segmentation.bce(logits, label, weight))}
    # Dice and focal have no constant that is theirs in closed form: only the entropy's is known
    if terms.entropy_alone:
        found["loss"] = terms.bce * found["bce"]
    return found, float((label[weight > 0.5] >= 0.5).double().mean())
