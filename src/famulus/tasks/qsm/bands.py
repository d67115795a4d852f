"""How much power a scan's map has at each |k|: seen in the phase itself, wraps and offsets or not.

The power of a field at |k| is that of chi times d^2, and the noise on top. It is taken from the
differences of neighbours, which a wrap and a constant do not change, over what a difference does
to each frequency: |FFT(phi(x+1) - phi(x))|^2 = 4 sin^2(pi f) |FFT(phi)|^2, summed over the axes.
The border of the mask, where differences end, adds to the lowest frequencies: a net learns with it.

Shapes: B batch, Z Y X voxels, H = X//2+1, J bands of |k|. Units: phase rad, |k| cycles per mm.
"""

import math

import torch
from torch import Tensor

from famulus.tasks.qsm.phase import wrap

KNOTS_PER_MM = tuple(0.01 * 2 ** (j / 2) for j in range(15))  # 0.01 .. 1.28 cycles per mm
MEAN_D2 = 4 / 45  # of d^2 over all directions
LEAST_D2 = 0.02  # a band of few places may lie near the cone as a whole
LEAST_SHARE = 0.02  # of the noise: less power than that can't be told from none


def place_of(k_per_mm: Tensor) -> Tensor:
    """Where |k| lies between the knots: 0 at the first, 14 at the last, straight in ln |k|."""
    first, last = math.log(KNOTS_PER_MM[0]), math.log(KNOTS_PER_MM[-1])
    at = k_per_mm.clamp(KNOTS_PER_MM[0], KNOTS_PER_MM[-1]).log()
    return (at - first) * ((len(KNOTS_PER_MM) - 1) / (last - first))


def field_power(phase_BZYX: Tensor, mask_BZYX: Tensor) -> Tensor:
    """|FFT(phase)|^2 over the voxels of the mask: BZH, rad^2; white noise has its variance."""
    sizes = phase_BZYX.shape[1:]
    inside = mask_BZYX > 0
    power, gain = phase_BZYX.new_zeros(()), phase_BZYX.new_zeros(())
    for axis, n in enumerate(sizes):
        both = inside & inside.roll(-1, axis + 1)
        both.narrow(axis + 1, n - 1, 1).fill_(False)  # the last has no neighbour
        step = wrap(phase_BZYX.roll(-1, axis + 1) - phase_BZYX) * both
        spectrum = torch.fft.rfftn(step, dim=(1, 2, 3))
        one = spectrum.real.square() + spectrum.imag.square()
        f = torch.fft.rfftfreq(n) if axis == 2 else torch.fft.fftfreq(n)
        lines = (math.pi * f.to(one)).sin().square().mul(4)
        lines = lines.reshape([-1 if a == axis else 1 for a in range(3)])
        power, gain = power + one, gain + lines
    count = inside.flatten(1).sum(1).clamp(min=1)
    return power / gain.clamp(min=1e-12) / count[:, None, None, None]


def power_ratios(
    phase_BZYX: Tensor, mask_BZYX: Tensor, d_ZH: Tensor, place_ZH: Tensor, rho_B: Tensor
) -> Tensor:
    """ln of chi's power in each band over its mean power: BJ. The noise is what rho says.

    A band without a place on this grid has the value of its nearest neighbour.
    """
    power_BZH = field_power(phase_BZYX, mask_BZYX)
    band_ZH = place_ZH.round()
    # the mean of d: at k = 0 there is neither signal nor a difference to see it in
    power_BZH[:, 0, 0, 0] = 0
    noise_B = power_BZH.mean((1, 2, 3)) / (1 + MEAN_D2 * rho_B)
    means, squares, known = [], [], []
    for j in range(len(KNOTS_PER_MM)):  # sums one by one: the same in every run, on a GPU as well
        here = band_ZH == j
        count = here.sum().clamp(min=1)
        means.append((power_BZH * here).sum((1, 2, 3)) / count)
        squares.append((d_ZH.square() * here).sum() / count)
        known.append(here.any())
    mean_BJ, d2_J = torch.stack(means, 1), torch.stack(squares)
    noise_B1 = noise_B[:, None]
    above_BJ = ((mean_BJ - noise_B1) / d2_J.clamp(min=LEAST_D2)).maximum(LEAST_SHARE * noise_B1)
    ratios_BJ = (above_BJ / (noise_B1 * rho_B[:, None])).log()
    return ratios_BJ[:, _nearest(torch.stack(known))]


def _nearest(known_J: Tensor) -> Tensor:
    """For each band, itself or the nearest one that has places: J."""
    j = torch.arange(len(known_J), device=known_J.device)
    away = (j[:, None] - j).abs() + len(j) * (~known_J).long()
    return away.argmin(1)
