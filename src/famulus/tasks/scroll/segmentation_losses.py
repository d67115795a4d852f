"""Losses for a binary map from logits, each with a weight a pixel, and what a constant costs.

Shapes: B batch, Y X pixels; `target` may be a share (a coarse pixel that is half ink is .5).
Units: bce and focal in nats a pixel; dice and tversky are 1 - overlap, over the whole batch.
Source: Milletari et al. 2016, arXiv 1606.04797 (Dice); Lin et al. 2017, arXiv 1708.02002 (focal);
Salehi et al. 2017, arXiv 1706.05721 (Tversky).
"""

import math

from torch import Tensor
from torch.nn import functional as F

TINY = 1e-6


def smoothed(target: Tensor, smoothing: float) -> Tensor:
    """(1 - s) target + s / 2: label smoothing of a binary target."""
    return target * (1 - smoothing) + 0.5 * smoothing


def weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    """sum w v / sum w: self-normalised, so that the scale of the weights does not matter."""
    return (weight * value).sum() / weight.sum().clamp(min=TINY)


def bce(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy in nats a pixel."""
    return weighted_mean(
        F.binary_cross_entropy_with_logits(logits, target, reduction="none"), weight
    )


def focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float = 2.0) -> Tensor:
    """|target - p|^gamma times the cross-entropy: easy pixels count less; gamma 0 is `bce`."""
    plain = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # |target - p|, not 1 - p of the class: it also holds for a share as target
    return weighted_mean((target - logits.sigmoid()).abs().pow(gamma) * plain, weight)


def tversky(
    logits: Tensor, target: Tensor, weight: Tensor, alpha: float = 0.5, beta: float = 0.5
) -> Tensor:
    """1 - TP / (TP + alpha FP + beta FN), soft counts over the whole batch."""
    p = logits.sigmoid()
    hits = (weight * p * target).sum()
    false = (weight * p * (1 - target)).sum()
    missed = (weight * (1 - p) * target).sum()
    # in the denominator only: a batch without ink costs 1, whatever is answered, not NaN
    return 1 - hits / (hits + alpha * false + beta * missed + TINY)


def dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - 2 TP / (2 TP + FP + FN): Tversky with both halves."""
    return tversky(logits, target, weight)


def coarsened(label_BYX: Tensor, factor: int) -> Tensor:
    """Means of `factor` x `factor` pixels: Byx."""
    # the mean, not a vote: half an inked pixel stays half
    return F.avg_pool2d(label_BYX[:, None], factor)[:, 0] if factor > 1 else label_BYX


def entropy(p: float) -> float:
    """H(p) in nats: the cross-entropy of the best constant for prevalence p."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)
