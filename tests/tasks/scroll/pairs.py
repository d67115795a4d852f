"""AUC pair by pair in float64, and the two figures between which every rounding must put it.

Shapes: N pixels.
"""

import numpy as np

NEAR = 2e-6  # what float32 may move two probabilities against each other, where a logit is below 8


def auc_of(score_N: np.ndarray, inked_N: np.ndarray) -> float:
    """P(ink above papyrus) + P(tie) / 2."""
    a, b = score_N[inked_N][:, None], score_N[~inked_N][None]
    return float(((a > b) + 0.5 * (a == b)).mean())


def auc_between(p_N: np.ndarray, inked_N: np.ndarray) -> tuple[float, float]:
    """Pairs that lie nearer than `NEAR` all lost, and all won: the processor decides about them."""
    a, b = p_N[inked_N][:, None], p_N[~inked_N][None]
    return float((a > b + NEAR).mean()), float((a > b - NEAR).mean())
