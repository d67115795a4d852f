"""Learned steps and what they amount to, drawn.

Shapes: N steps, K values of d; pictures (H, W, 3) uint8.
"""

import numpy as np

from famulus.tasks.qsm.slices import curves
from famulus.tasks.qsm.steps import Amount


def drawn_steps(tau_N: np.ndarray, beta_N: np.ndarray | None) -> np.ndarray:
    """Every step as a bar, its momentum as a point."""
    n = np.arange(1, len(tau_N) + 1)
    lines = {"step": (n, tau_N)}
    if beta_N is not None:
        lines["momentum"] = (n, beta_N)
    return curves(lines, "number of the step", "tau (no unit)", bars=True)


def drawn_filter(d_K: np.ndarray, f_K: np.ndarray, what: Amount) -> np.ndarray:
    """Share d f(d) of chi that comes back, beside an early stop and Tikhonov's of the same half."""
    lines = {"learned": (d_K, d_K * f_K)}
    lines[f"one early stop at {what.total:.1f}"] = (d_K, 1 - np.exp(-what.total * d_K**2))
    if np.isfinite(what.half_power):
        same = d_K**2 / (d_K**2 + what.tikhonov_alpha)
        lines[f"Tikhonov, alpha {what.tikhonov_alpha:.4f}"] = (d_K, same)
    return curves(lines, "|d|", "share of chi restored, d f(d)")
