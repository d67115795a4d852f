"""Inversions that have learned nothing: to compare with, and to use without a trained run.

Shapes: B batch, Z Y X voxels, K bins of a spectrum. Units: phase and chi in rad; rho has none.
Parameters that are not given follow the noise, so that no method is beaten by a bad setting.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from famulus.feed.progress import parts
from famulus.tasks.qsm.descent import descend
from famulus.tasks.qsm.dipole import cropped, padded
from famulus.tasks.qsm.inversion import (
    early_stop,
    suited_alpha,
    suited_threshold,
    tikhonov,
    tikhonov_filter,
    tkd,
    tkd_filter,
    usable,
)
from famulus.tasks.qsm.ndi import Grid
from famulus.tasks.qsm.rho import sane
from famulus.tasks.qsm.spectrum import Spectrum, best_alpha, best_threshold, best_total
from famulus.tasks.qsm.steps import step_filter

PARAMETERS = {"tkd": ("threshold",), "tikhonov": ("alpha",), "ndi": ("steps", "tau")}
UNTRAINED = (10, 26, 50, 200)  # steps of 2
MOST_STEPS, MOST_UNASKED = 10_000, 1000
TAU = 2.0
AT_ONCE = 25  # steps between two looks at the clock
BEST = "best single filter"  # over d: the bound of steps that do not follow the noise


def invert(
    method: str,
    phase_1ZYX: Tensor,
    weight_1ZYX: Tensor | None,
    rho: float,
    grid: Grid,
    given: Mapping[str, float],
    say: Callable[[str], object] | None = None,
) -> tuple[Tensor, dict[str, Any]]:
    """(chi in rad, what to write beside it) by `tkd`, `tikhonov` or `ndi`.

    `say` gets a line now and then on how far the steps have come; None: stderr. Raises ValueError
    for a parameter out of its range.
    """
    suited = usable(float(sane(torch.tensor(rho))))
    if method == "tkd":
        threshold = given.get("threshold", suited_threshold(suited))
        return tkd(phase_1ZYX, grid.geometry, threshold), {"Method": "TKD", "Threshold": threshold}
    if method == "tikhonov":
        alpha = given.get("alpha", suited_alpha(suited))
        return tikhonov(phase_1ZYX, grid.geometry, alpha), {"Method": "Tikhonov", "Alpha": alpha}
    # Weights below 1 shorten every step: more of them make up the same total.
    total = early_stop(suited) / _mean_square(weight_1ZYX)
    # of a noise so high that one step is too much, a part of one
    tau = given.get("tau", TAU if "steps" in given else min(TAU, total))
    wanted = max(1, round(total / tau)) if tau > 0 else 1
    steps = given.get("steps", min(MOST_UNASKED, wanted))
    # d^2 is at most 4/9: from 4.5 on a step makes what it should shrink grow.
    if not 0 < tau < 4.5 or not 1 <= steps <= MOST_STEPS or steps != int(steps):
        raise ValueError(
            f"expected 0 < tau < 4.5 and 1 to {MOST_STEPS} steps, received {tau=}, {steps=}"
        )
    steps = int(steps)
    facts = {"Method": "NDI", "Steps": steps, "Tau": tau, "TotalStep": tau * steps}
    if "steps" not in given and wanted > steps:
        facts["StepsThatSuitTheNoise"] = wanted
    return _descended(phase_1ZYX, weight_1ZYX, steps, tau, grid, say), facts


def _descended(
    phase_1ZYX: Tensor,
    weight_1ZYX: Tensor | None,
    steps: int,
    tau: float,
    grid: Grid,
    say: Callable[[str], object] | None,
) -> Tensor:
    """chi in rad after so many equal steps: hundreds take minutes, and tell how far they are."""
    d, _ = grid.kernels(phase_1ZYX.device)
    phase = padded(phase_1ZYX, grid.sizes)
    weight = None if weight_1ZYX is None else padded(weight_1ZYX, grid.sizes)
    chi: Tensor | None = None
    for part in parts(steps, AT_ONCE, "ndi: steps", say):
        taus = torch.full((part.stop - part.start,), tau, device=phase.device)
        chi = descend(phase, d, taus, None, weight, chi)
    assert chi is not None
    return cropped(chi, grid.shape)


def _mean_square(weight_1ZYX: Tensor | None) -> float:
    """Of the weights above 0: small ones slow the steps down, and an early stop comes later."""
    if weight_1ZYX is None:
        return 1.0
    inside = int((weight_1ZYX > 0).sum())
    # weights of nearly 0 would ask for endless steps
    return max(float(weight_1ZYX.square().sum()) / max(inside, 1), 1e-6)


def maps(
    phase_1ZYX: Tensor, weight_1ZYX: Tensor | None, rho: float, grid: Grid
) -> dict[str, Tensor]:
    """chi in rad by name: tuned by the noise, and NDI untrained."""

    def say(line: str) -> None:
        """Nothing: a training reports on itself."""

    made = {m: invert(k, phase_1ZYX, weight_1ZYX, rho, grid, {}, say)[0] for m, k in _TUNED.items()}
    untrained = grid.descend(phase_1ZYX, weight_1ZYX, UNTRAINED, 2.0)
    for steps, chi in zip(UNTRAINED, untrained, strict=True):
        made[f"NDI, {steps} steps of 2"] = chi
    return made


_TUNED = {"TKD": "tkd", "Tikhonov": "tikhonov", "NDI, stop by noise": "ndi"}


def filters(spectrum: Spectrum) -> dict[str, Tensor]:
    """Filters over d by name, each with the parameter that suits this very spectrum best."""
    d, mean = spectrum.d_K, spectrum.mean()
    alpha, threshold, total = best_alpha(mean)[0], best_threshold(mean)[0], best_total(mean)[0]

    def equal(steps: int, tau: float) -> Tensor:
        return step_filter(d, torch.full((steps,), tau, dtype=d.dtype, device=d.device))

    made = {
        "zero image": torch.zeros_like(d),
        BEST: mean.best(),
        f"Tikhonov, best alpha {alpha:.3g}": tikhonov_filter(d, alpha),
        f"TKD, best threshold {threshold:.3g}": tkd_filter(d, threshold),
        f"NDI, best total {total:.3g} in 200 equal steps": equal(200, total / 200),
    }
    return made | {f"NDI, {n} steps of 2": equal(n, 2.0) for n in UNTRAINED}
