"""How well a map of scores finds a binary target: AUC, average precision, F-beta, Dice.

All from one sort: what would be found and what would be wrong at each threshold. Ties move
together. Weights count pixels more or less than once.

Shapes: N pixels, T distinct thresholds. Scores may be logits or probabilities.
Source: Mann & Whitney 1947 (AUC as a rank statistic); van Rijsbergen 1979 (F-beta).
"""

from typing import NamedTuple

import torch
from torch import Tensor


class ThresholdCurve(NamedTuple):
    """Cumulative weights at or above each distinct score, descending: T each, float64."""

    threshold: Tensor
    hits: Tensor
    false: Tensor

    @property
    def positives(self) -> Tensor:
        return self.hits[-1]

    @property
    def negatives(self) -> Tensor:
        return self.false[-1]


def curve(score_N: Tensor, target_N: Tensor, weight_N: Tensor | None = None) -> ThresholdCurve:
    """Sorts once. Raises ValueError if nothing is given or a score is NaN."""
    score_N = score_N.flatten()
    if not score_N.numel() or score_N.isnan().any():
        raise ValueError("expected at least one score and none that is NaN")
    order = score_N.argsort(descending=True)
    # float64: float32 sums stop counting single pixels at 2^24, and a fragment has more
    score_N, target_N = score_N[order], target_N.flatten()[order].double()
    weight_N = torch.ones_like(target_N) if weight_N is None else weight_N.flatten()[order].double()
    hits, all_ = (weight_N * target_N).cumsum(0), weight_N.cumsum(0)
    # one point for all pixels of a score: the order of ties is arbitrary, and would be worth AUC
    last = torch.cat([score_N[1:] != score_N[:-1], torch.ones(1, dtype=torch.bool)])
    return ThresholdCurve(score_N[last], hits[last], (all_ - hits)[last])


def auc(c: ThresholdCurve) -> float:
    """P(a positive scores above a negative) + P(tie) / 2; NaN if one class is missing."""
    zero = c.hits.new_zeros(1)
    area = torch.trapezoid(torch.cat([zero, c.hits]), torch.cat([zero, c.false]))
    return float(area / (c.positives * c.negatives))


def average_precision(c: ThresholdCurve) -> float:
    """Sum over thresholds of precision times the gain in recall; NaN without positives."""
    gain = torch.diff(c.hits, prepend=c.hits.new_zeros(1))
    # only 0 / 0 of pixels without weight is meant: no real sum of weights is as small
    return float((c.hits / (c.hits + c.false).clamp(min=1e-300) * gain).sum() / c.positives)


def f_beta(hits: Tensor, false: Tensor, positives: Tensor, beta: float) -> Tensor:
    """(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP); beta 1 is Dice, 0.5 prefers precision."""
    b2 = beta * beta
    # as above: 0 where nothing is positive and nothing was called so, instead of NaN
    return (1 + b2) * hits / (hits + false + b2 * positives).clamp(min=1e-300)


def best_threshold(c: ThresholdCurve, beta: float = 0.5) -> tuple[float, float]:
    """(threshold, F-beta there): the highest one; predicted positive is score >= threshold."""
    f_T = f_beta(c.hits, c.false, c.positives, beta)
    at = int(f_T.argmax())
    return float(c.threshold[at]), float(f_T[at])


def at_threshold(
    score_N: Tensor,
    target_N: Tensor,
    threshold: float,
    beta: float = 0.5,
    weight_N: Tensor | None = None,
) -> float:
    """F-beta of score >= threshold."""
    weight_N = torch.ones_like(score_N, dtype=torch.float64) if weight_N is None else weight_N
    positive_N, target_N = (score_N >= threshold).double() * weight_N, target_N.double()
    hits, all_ = (positive_N * target_N).sum(), positive_N.sum()
    return float(f_beta(hits, all_ - hits, (weight_N * target_N).sum(), beta))


def everything(prevalence: float, beta: float = 0.5) -> float:
    """F-beta of calling everything positive: (1 + b^2) p / (1 + b^2 p), as TP = p, FP = 1 - p."""
    b2 = beta * beta
    return (1 + b2) * prevalence / (1 + b2 * prevalence)


def cross_fitted(
    score_N: Tensor, target_N: Tensor, half_N: Tensor, beta: float = 0.5
) -> tuple[float, float]:
    """(F-beta, threshold): each half is judged at the threshold that the other one chose.

    No pixel helps to choose its own threshold. `half_N` is bool. NaN if a half has no positives.
    """
    hits = false = positives = torch.zeros((), dtype=torch.float64)
    chosen = []
    for judged in (half_N, ~half_N):
        other = ~judged
        if not target_N[other].any() or not judged.any():
            return float("nan"), float("nan")
        # F-beta at a map's own best threshold would rise with noise: the threshold was fitted to it
        threshold, _ = best_threshold(curve(score_N[other], target_N[other]), beta)
        chosen.append(threshold)
        positive_N = score_N[judged] >= threshold
        truth = target_N[judged].bool()
        hits = hits + (positive_N & truth).sum()
        false = false + (positive_N & ~truth).sum()
        positives = positives + truth.sum()
    # a sum of both halves' counts, not a mean of two F-betas: a half with little ink says little
    return float(f_beta(hits, false, positives, beta)), sum(chosen) / 2
