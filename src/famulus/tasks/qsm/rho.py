"""rho, the power of chi over that of the noise, as a scan shows it: what every default follows.

Shapes: B batch, Z Y X voxels, H = X//2+1. Units: phase in rad, powers in rad^2; rho has none.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from famulus.tasks.qsm.dipole import Geometry
from famulus.tasks.qsm.noise import noise_in
from famulus.tasks.qsm.phase import centred_phase
from famulus.tasks.qsm.spectrum import noise_ratio

Estimate = Literal["field", "signal"]
MEAN_D2 = 4 / 45  # of 1/3 - cos^2 over all directions
SANE = (1e-2, 1e5)
DEFAULT = 50.0  # where nothing is known: noise is a seventh of the map


def rho_in(
    estimate: Estimate,
    phase_BZYX_rad: Tensor,
    mask_BZYX: Tensor,
    geometry: Geometry,
    weight_BZYX: Tensor | None = None,
    kernel_ZYH: Tensor | None = None,
) -> Tensor:
    """rho B; NaN, 0 or infinite where nothing can be seen: see `sane`.

    `field`: by `spectrum.noise_ratio`, which no wrap or offset may disturb; `signal`: by
    `noise_in`, for weights (a magnitude) of mean square 1 in the mask.
    """
    if estimate == "field":
        return noise_ratio(phase_BZYX_rad, geometry, kernel_ZYH)
    noise = noise_in(phase_BZYX_rad, mask_BZYX, geometry, weight_BZYX, kernel_ZYH)
    return over_noise(phase_BZYX_rad, mask_BZYX, noise)


def over_noise(phase_BZYX_rad: Tensor, mask_BZYX: Tensor, noise_B_rad: Tensor) -> Tensor:
    """rho B of a noise that is known."""
    # of neither map nor noise: infinite, as nothing disturbs it
    power = power_of_chi(phase_BZYX_rad, mask_BZYX).clamp(min=1e-30)
    return power / noise_B_rad.square()


def power_of_chi(phase_BZYX_rad: Tensor, mask_BZYX: Tensor) -> Tensor:
    """Mean square B in rad^2 of the map behind a phase; 0 if it is no more than noise.

    From products of neighbours, which noise has no part in: what they are at distances 1 and 2 is
    drawn on to 0.
    """
    rows = []
    for phase, mask in zip(phase_BZYX_rad, mask_BZYX > 0, strict=True):
        if not mask.any():
            rows.append(phase.new_zeros((), dtype=torch.float64))
            continue
        centred = centred_phase(phase, mask)[0].double() * mask
        one, two = (_product(centred, mask, distance) for distance in (1, 2))
        rows.append(((2 * one - two) / MEAN_D2).clamp(min=0))
    return torch.stack(rows).to(phase_BZYX_rad)


def _product(centred_ZYX: Tensor, mask_ZYX: Tensor, distance: int) -> Tensor:
    """Mean product of two voxels of the mask so far apart along an axis."""
    total, count = centred_ZYX.new_zeros(()), 0
    for axis, size in enumerate(centred_ZYX.shape):
        if size <= distance:
            continue
        n = size - distance
        total = (
            total + (centred_ZYX.narrow(axis, 0, n) * centred_ZYX.narrow(axis, distance, n)).sum()
        )
        count += int((mask_ZYX.narrow(axis, 0, n) & mask_ZYX.narrow(axis, distance, n)).sum())
    return total / max(count, 1)


def sane(rho_B: Tensor) -> Tensor:
    """rho within its range: the default where the noise can't be seen or hides all else."""
    known = torch.where(rho_B >= SANE[0], rho_B, DEFAULT)  # NaN compares as false
    return known.clamp(max=SANE[1])


def doubt(rho: float) -> str | None:
    """Why `sane` changes a rho, in a sentence; None: it does not."""
    if rho > SANE[1]:
        why, taken = "no noise can be seen in the phase: is it simulated, or interpolated?", SANE[1]
    elif math.isnan(rho):
        why, taken = "the mask is too small or too thin to see the noise in it", DEFAULT
    elif rho < SANE[0]:
        why, taken = f"nothing but noise can be seen in the phase (rho {rho:.1g})", DEFAULT
    else:
        return None
    return f"{why}: rho, which defaults follow, is taken to be {taken:g}"
