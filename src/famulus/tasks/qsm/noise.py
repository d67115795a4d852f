"""The noise of a phase, seen in the complex signal alone: wraps and offsets don't matter.

The angle of each voxel's exp(i phase) against the sum of its six neighbours is the phase without
its slow part; a wrap or an offset turns all of them alike. Second differences along each axis
leave frequencies near Nyquist, where anatomy has little power: of its edges, it falls with k^4, and
on the cone where d = 0 there is none. What is seen there is a line over d^2/k^4, and noise is where
that line begins.

Shapes: B batch, Z Y X voxels, H = X//2+1. Units: phase and noise in rad; weights have none.
Source: second differences: Immerkaer 1996, doi:10.1006/cviu.1996.0060; noise of a phase is
sigma/magnitude: Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618.
"""

import math

import torch
from torch import Tensor

from famulus.tasks.qsm.dipole import Geometry, Sizes, dipole_kernel, fast_sizes, frequency, padded

REACH = 2  # voxels that one value depends on, to each side
NEAR_CONE = 0.4  # |d| of the frequencies that are looked at
FREQUENCIES = 250  # that are looked at, of those as sharp as the mask allows: 5 per cent of noise
MOST = 0.15  # of all frequencies: where a mask is small
BINS = 16  # of the anatomy's power, over
DECADES = 4
OUTLIER = 5.0  # robust deviations; a vein's phase may turn by more than pi from voxel to voxel
ENOUGH = 64  # voxels that far within the mask
_AXES = (0, 1, 2)


def noise_in(
    phase_BZYX_rad: Tensor,
    mask_BZYX: Tensor,
    geometry: Geometry,
    weight_BZYX: Tensor | None = None,
    kernel_ZYH: Tensor | None = None,
) -> Tensor:
    """Standard deviation B in rad of the phase's noise within the mask; NaN: too few voxels.

    With weights (a magnitude) that of a voxel whose weight is their root mean square: noise goes
    as 1/weight. `kernel_ZYH`, if at hand: d of the padded sizes.
    """
    sizes = fast_sizes(_sizes(phase_BZYX_rad))
    d = dipole_kernel(sizes, geometry) if kernel_ZYH is None else kernel_ZYH
    d2 = d.to(phase_BZYX_rad.device).square()
    k = frequency(sizes, geometry).to(d2)
    # edges have a power that falls with k^4; in the field it is multiplied by d^2
    anatomy = d2 * (k / k.max()).clamp(min=1e-6) ** -4
    anatomy[(d2 > NEAR_CONE**2) | (k == 0)] = torch.inf
    rows = []
    for b in range(len(phase_BZYX_rad)):
        inside = _eroded(mask_BZYX[b] > 0, REACH + 1)
        if int(inside.sum()) < ENOUGH:
            rows.append(d2.new_full((), float("nan"), dtype=torch.float64))
            continue
        window = _soft(inside)
        rough = _rough(phase_BZYX_rad[b].float())
        if weight_BZYX is not None:
            rough *= _evened(weight_BZYX[b].float(), mask_BZYX[b] > 0)
        limit = OUTLIER / 0.6745 * rough[inside].abs().median()
        seen, white = _spectra(rough.clamp_(-limit, limit) * window, window, sizes)
        white[anatomy.isinf()] = 0
        # a mask of n voxels tells n frequencies apart, however many the grid has
        part = min(FREQUENCIES / float(window.square().sum()), MOST)
        sharp = white >= white.flatten().topk(math.ceil(part * white.numel())).values[-1]
        rows.append(_start_of_line(anatomy[sharp], seen[sharp] / white[sharp]).sqrt())
    return torch.stack(rows).to(phase_BZYX_rad)


def _sizes(volume_BZYX: Tensor) -> Sizes:
    z, y, x = volume_BZYX.shape[-3:]
    return z, y, x


def _rough(phase_ZYX: Tensor) -> Tensor:
    """What is left of the phase near Nyquist, in rad times a known gain."""
    signal = torch.polar(torch.ones_like(phase_ZYX), phase_ZYX)
    rough = (signal * _neighbours(signal).conj()).angle()
    for axis in _AXES:
        rough = 2 * rough - _beside(rough, axis)
    return rough


def _beside(values: Tensor, axis: int) -> Tensor:
    """Sum of the two neighbours along an axis; what lies beyond the border is 0."""
    n = values.shape[axis]
    total = torch.zeros_like(values)
    total.narrow(axis, 1, n - 1).add_(values.narrow(axis, 0, n - 1))
    total.narrow(axis, 0, n - 1).add_(values.narrow(axis, 1, n - 1))
    return total


def _neighbours(values: Tensor) -> Tensor:
    return _beside(values, 0) + _beside(values, 1) + _beside(values, 2)


def _eroded(mask_ZYX: Tensor, reach: int) -> Tensor:
    """Voxels whose cube of `reach` to each side lies in the mask and in the volume."""
    inside = mask_ZYX.float()
    for axis in _AXES:
        for _ in range(reach):
            inside = (_beside(inside, axis) * inside == 2).float()
    return inside > 0


def _soft(inside_ZYX: Tensor) -> Tensor:
    """1 inside, less towards a border that lies one voxel further out: a sharp cut would let the
    strong slow part of the phase leak to where noise is looked for."""
    window = inside_ZYX.float()
    for axis in _AXES:
        window = (2 * window + _beside(window, axis)) / 4
    return window


def _evened(weight_ZYX: Tensor, mask_ZYX: Tensor) -> Tensor:
    """1 over how noisy each voxel's roughness is, where that of weight 1 (root mean square) is 1:
    a mean of 1/weight over the voxels that it is made of."""
    weight = weight_ZYX * mask_ZYX
    root = float((weight.square().sum() / mask_ZYX.sum()).sqrt())
    # not of 1/weight^2: one voxel in which noise left no magnitude would decide it
    noisy = root / weight.clamp(min=1e-3 * root)
    for axis in _AXES:
        noisy = (4 * noisy + _beside(noisy, axis)) / 6
    return 1 / noisy


def _spectra(rough_ZYX: Tensor, window_ZYX: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Power ZH of the roughness, and what white noise of 1 rad in the same window has."""

    def power(values: Tensor) -> Tensor:
        spectrum = torch.fft.rfftn(padded(values[None], sizes)[0])
        return spectrum.real.square() + spectrum.imag.square()

    response = rough_ZYX.new_ones(())
    mean = response.new_zeros(())
    for axis, n in enumerate(sizes):
        f = torch.fft.rfftfreq(n) if axis == 2 else torch.fft.fftfreq(n)
        shape = [-1 if a == axis else 1 for a in range(3)]
        wave = torch.cos(2 * torch.pi * f).to(rough_ZYX).reshape(shape)
        response, mean = response * (2 - 2 * wave), mean + wave / 3
    gain = (response * (1 - mean)).square()
    # a window spreads the noise's power: its autocorrelation is a product
    cut = torch.fft.irfftn(power(window_ZYX), s=sizes)
    return power(rough_ZYX), torch.fft.rfftn(torch.fft.irfftn(gain, s=sizes) * cut).real


def _start_of_line(x: Tensor, power: Tensor) -> Tensor:
    """The power where x = 0, of a line through bins of x in equal ratios; float64."""
    ratio = (x / x.max()).double()
    index = (BINS * (1 + ratio.clamp(min=10.0**-DECADES).log10() / DECADES)).long()
    index.clamp_(max=BINS - 1)
    count = torch.bincount(index, minlength=BINS)
    there = count > 0

    def mean(values: Tensor) -> Tensor:
        return (torch.bincount(index, weights=values.double(), minlength=BINS) / count)[there].cpu()

    x, y, root = mean(ratio), mean(power), count[there].double().sqrt().cpu()
    columns, fitted = torch.stack([torch.ones_like(x), x], 1), y.mean().expand_as(y)
    least = max(1e-3 * float(y.max()), 1e-300)
    start = y.new_zeros(())
    # a power is as uncertain as it is large: by the fitted ones, since the seen ones would favour
    # what happens to be small
    for _ in range(8):
        weight = root / fitted.clamp(min=least)
        row = torch.linalg.lstsq(columns * weight[:, None], (y * weight)[:, None]).solution[:, 0]
        start, fitted = row[0], columns @ row
    return start.clamp(min=0)
