"""Pairs of volumes as a spectrum over d: all that a linear filter of the field can see.

Shapes: B batch, Z Y X voxels, H = X//2+1, K distinct values of d. Units: those of the volumes
squared, a voxel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from famulus.tasks.qsm.dipole import Geometry, dipole_kernel, fast_sizes, padded
from famulus.tasks.qsm.inversion import tikhonov_filter, tkd_filter
from famulus.tasks.qsm.steps import step_filter


@dataclass(frozen=True)
class Spectrum:
    """All that a linear filter f(d) can see of pairs of volumes: its mean squared error is

    loss(f) = sum_K (f^2 A - 2 f B) + C, per voxel. d_K K; A, B ...K; C ...: float64.
    """

    d_K: Tensor
    a_K: Tensor  # power of the field
    b_K: Tensor  # field with chi
    c: Tensor  # power of chi
    k_K: Tensor | None = None  # |k| cycles per mm, where bins know it

    def loss(self, f_K: Tensor) -> Tensor:
        """Mean squared error a voxel, in chi's unit squared; leading axes as those of A, B, C."""
        return (f_K * (f_K * self.a_K - 2 * self.b_K)).sum(-1) + self.c

    def best(self) -> Tensor:
        """The filter over d that nothing of this kind can beat: B/A."""
        return torch.where(self.a_K > 0, self.b_K / self.a_K.clamp(min=1e-300), 0.0)

    def mean(self) -> "Spectrum":
        """Of all samples together."""
        lead = tuple(range(self.c.ndim))
        a, b, c = (v.mean(lead) for v in (self.a_K, self.b_K, self.c))
        return Spectrum(self.d_K, a, b, c, self.k_K)


@dataclass(frozen=True)
class Bins:
    """The distinct d of a grid, or bins between them where there are too many; or bins of d and
    |k| together, for filters that look at both."""

    d_K: Tensor  # float64, rising (within a band of |k|)
    index: Tensor  # of each place of the half spectrum, int64 flat
    weight: Tensor  # 1 or 2: how many places of the whole spectrum it stands for, float64 flat
    k_K: Tensor | None = None  # |k| cycles per mm, float64

    @classmethod
    def of(
        cls, kernel_ZYH: Tensor, columns: int, k_ZYH: Tensor | None = None, most: int = 1 << 16
    ) -> Self:
        """`columns` is X. Exact up to `most` distinct d; with |k|, 96 bins of d by 32 of |k|."""
        d = kernel_ZYH.double().flatten()
        twice = torch.full((kernel_ZYH.shape[-1],), 2.0, dtype=torch.float64)
        # All columns but the first and, of even sizes, the last stand for their mirror image as
        # well.
        twice[0] = 1.0
        if columns % 2 == 0:
            twice[-1] = 1.0
        weight = twice.expand(kernel_ZYH.shape).flatten()
        if k_ZYH is None:
            # Rounded: what differs by float32's noise is one d, or nearly each place had its own.
            unique, index = torch.unique(d.mul(1e7).round().div(1e7), return_inverse=True)
            if len(unique) <= most:
                return cls(unique, index, weight)
            return cls._means(_level(d, most), d, None, weight)
        k = k_ZYH.double().flatten()
        return cls._means(_level(k, 32) * 96 + _level(d, 96), d, k, weight)

    @classmethod
    def _means(cls, level: Tensor, d: Tensor, k: Tensor | None, weight: Tensor) -> Self:
        """Bins of one level each, at the mean d and |k| of what fell there."""
        _, index, count = torch.unique(level, return_inverse=True, return_counts=True)

        def mean(values: Tensor) -> Tensor:
            return torch.bincount(index, weights=values) / count

        return cls(mean(d), index, weight, None if k is None else mean(k))

    def spectrum(self, field_BZYX: Tensor, chi_BZYX: Tensor) -> Spectrum:
        """Of each sample: a filter's loss then equals the volume loss to rounding."""
        # Parseval: a sum over space is one over the spectrum, divided by the voxels
        voxels = field_BZYX[0].numel()
        rows = []
        for field, chi in zip(field_BZYX.double(), chi_BZYX.double(), strict=True):
            f, c = torch.fft.rfftn(field).flatten(), torch.fft.rfftn(chi).flatten()
            scale = self.weight / voxels**2
            a = self._sum(scale * (f.real.square() + f.imag.square()))
            b = self._sum(scale * (f.real * c.real + f.imag * c.imag))
            rows.append((a, b, chi.square().mean()))
        a, b, c = (torch.stack(v) for v in zip(*rows, strict=True))
        return Spectrum(self.d_K, a, b, c, self.k_K)

    def _sum(self, values: Tensor) -> Tensor:
        return torch.zeros_like(self.d_K).index_add_(0, self.index, values)


def _level(values: Tensor, count: int) -> Tensor:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (count / max(high - low, 1e-300))).long().clamp(max=count - 1)


def best_alpha(spectrum: Spectrum) -> tuple[float, float]:
    """(alpha, loss) of the Tikhonov filter that suits a spectrum best, by golden section."""
    return _golden(lambda a: float(spectrum.loss(tikhonov_filter(spectrum.d_K, a))), 1e-4, 1.0)


def best_threshold(spectrum: Spectrum) -> tuple[float, float]:
    """(threshold, loss) of the TKD filter that suits a spectrum best."""
    return _golden(lambda t: float(spectrum.loss(tkd_filter(spectrum.d_K, t))), 0.005, 0.6)


def best_total(spectrum: Spectrum, steps: int = 200) -> tuple[float, float]:
    """(total, loss) of the best early stop with `steps` equal steps."""

    def loss(total: float) -> float:
        tau = torch.full((steps,), total / steps, dtype=spectrum.d_K.dtype)
        return float(spectrum.loss(step_filter(spectrum.d_K, tau)))

    return _golden(loss, 0.1, 4.4 * steps)


def _golden(
    loss: Callable[[float], float], low: float, high: float, rounds: int = 40
) -> tuple[float, float]:
    """Minimum of a function with one valley over ln x."""
    ratio = (math.sqrt(5) - 1) / 2
    # over the logarithm: what suits may lie anywhere in several decades
    a, b = math.log(low), math.log(high)
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    fc, fd = loss(math.exp(c)), loss(math.exp(d))
    for _ in range(rounds):
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - ratio * (b - a)
            fc = loss(math.exp(c))
        else:
            a, c, fc = c, d, fd
            d = a + ratio * (b - a)
            fd = loss(math.exp(d))
    return (math.exp(c), fc) if fc < fd else (math.exp(d), fd)


BANDS = 32  # of d^2, for a look at the noise


def noise_ratio(field_BZYX: Tensor, geometry: Geometry, kernel_ZYH: Tensor | None = None) -> Tensor:
    """rho B = power of chi over power of the noise, from the field alone.

    On the cone where d = 0 the field holds nothing but noise, so |phi(k)|^2 over d^2 is a line:
    noise + power d^2. Fitted by least squares to means in bands of d^2. What else does not follow
    the dipole (a truncated field, wrong units) counts as noise, as it should. `kernel_ZYH`, if at
    hand: that of the padded sizes.
    """
    sizes = fast_sizes(tuple(field_BZYX.shape[-3:]))
    d = dipole_kernel(sizes, geometry) if kernel_ZYH is None else kernel_ZYH
    d2 = d.to(field_BZYX.device).square().flatten()
    index = d2.mul(BANDS * 9 / 4).int().clamp_(max=BANDS - 1)  # d^2 is at most 4/9
    count = torch.bincount(index, minlength=BANDS).clamp(min=1)
    x = torch.bincount(index, weights=d2, minlength=BANDS).double() / count
    rows = []
    for field in field_BZYX:
        power = torch.view_as_real(torch.fft.rfftn(padded(field.float(), sizes)))
        power = power.square_().sum(-1).flatten()
        y = torch.bincount(index, weights=power, minlength=BANDS).double() / count
        weight = count.double().sqrt() / y.clamp(min=1e-300)  # the spread of a mean power
        a = torch.stack([torch.ones_like(x), x], 1) * weight[:, None]
        noise, slope = torch.linalg.lstsq(a.cpu(), (y * weight)[:, None].cpu()).solution[:, 0]
        # a line fitted to a noiseless field may cut below 0
        rows.append(slope.clamp(min=1e-12) / noise.clamp(min=float(y.max()) * 1e-6))
    return torch.stack(rows).to(field_BZYX)
