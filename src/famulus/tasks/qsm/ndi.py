"""Nonlinear dipole inversion with learned steps.

Shapes: B batch, Z Y X voxels, N steps, K values of d. Units: phase and chi in rad (chi in ppm is
chi in rad over the rad that one ppm makes); rho, the power of chi over that of the noise, has none.
Source: Polak et al. 2020, doi:10.1002/nbm.4271; momentum: Polyak 1964; start from Chebyshev nodes
as in arXiv 2001.05142.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from famulus.tasks.qsm.bands import KNOTS_PER_MM, place_of
from famulus.tasks.qsm.descent import descend
from famulus.tasks.qsm.dipole import (
    Geometry,
    Sizes,
    cropped,
    dipole_kernel,
    fast_sizes,
    frequency,
    padded,
)
from famulus.tasks.qsm.inversion import suited_alpha, usable
from famulus.tasks.qsm.spectrum import noise_ratio
from famulus.tasks.qsm.steps import step_filter

Start = Literal["equal", "random", "chebyshev"]
Form = Literal["free", "total", "noise"]
D2_MAX = 4 / 9  # along B0, where d = -2/3
RHO_0 = 50.0  # middle of the range that is learned: 5 .. 500
RHO_RANGE = (5.0, 500.0)
ORDER = 2  # of the polynomials in ln rho


def first_steps(steps: int, start: Start, tau: float) -> Tensor:
    """N steps: all `tau`; or drawn from 0 .. tau; or 1/Chebyshev nodes with `tau` as their mean."""
    if start == "equal":
        return torch.full((steps,), tau)
    if start == "random":
        return tau * torch.rand(steps)
    low, high = 1e-9, D2_MAX  # the smallest d^2 that is to be restored, found by bisection
    for _ in range(80):
        # In the logarithm: what is looked for may lie anywhere above 1e-9.
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _nodes(steps, middle).mean() > tau else (low, middle)
    nodes = _nodes(steps, high)
    return nodes * (tau / nodes.mean())  # below 2.25 there are none: equal ones


def _nodes(steps: int, low: float) -> Tensor:
    k = torch.arange(1, steps + 1, dtype=torch.float64)
    cosine = torch.cos((2 * k - 1) * math.pi / (2 * steps))
    return (1 / ((D2_MAX + low) / 2 + (D2_MAX - low) / 2 * cosine)).sort().values.float()


class Ndi(nn.Module):
    """N steps of gradient descent on |W (exp(i D chi) - exp(i phase))|^2, from chi = 0.

    `form` says what is learned: `free`, each step (the journal's net: equal ones stay equal for
    ever); `total`, the sum and its shares, which can't become negative; `noise`, each step and its
    momentum as a function of rho, so that one net serves every noise.
    """

    def __init__(
        self,
        steps: int,
        *,
        form: Form = "free",
        momentum: bool = False,
        start: Start = "equal",
        tau: float = 2.0,
        precondition: bool = False,
    ) -> None:
        super().__init__()
        if steps < 1 or tau <= 0:
            raise ValueError(f"expected steps >= 1 and tau > 0, received {steps=} and {tau=}")
        self.steps, self.form, self.momentum = steps, form, momentum
        first = first_steps(steps, start, tau) * (D2_MAX if precondition else 1)  # p d^2 <= 1
        if form == "free":
            self.tau_N = nn.Parameter(first)
        elif form == "total":
            # in logarithms: steps below 0 would grow what they should shrink
            self.log_total = nn.Parameter(first.sum().log())
            self.share_N = nn.Parameter((first / first.sum()).clamp(min=1e-6).log())
        else:
            rows = torch.zeros(ORDER + 1, steps)
            rows[0], rows[1] = first.clamp(min=1e-3).log(), 0.0 if precondition else 0.5
            self.log_tau_PN = nn.Parameter(rows)
        if momentum:
            rows = torch.zeros(ORDER + 1 if form == "noise" else 1, steps)
            self.momentum_PN = nn.Parameter(rows)  # beta = sigmoid: 0 .. 1, at first 1/2
        self.reach_per_mm = math.inf  # the highest |k| of training, beyond which lambda is unknown
        self.register_parameter("log_lambda_PJ", None)
        if precondition:
            rows = torch.zeros(ORDER + 1 if form == "noise" else 1, len(KNOTS_PER_MM))
            rows[0] = math.log(1 / RHO_0)
            if form == "noise":
                rows[1] = -math.log(10)  # lambda = 1/rho: Wiener's filter for white maps
            self.log_lambda_PJ = nn.Parameter(rows)

    def schedule(self, rho_B: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(tau, beta) BN; without `noise`, one row for all samples. beta None: no momentum."""
        powers = None
        if self.form == "noise":
            powers = self._powers(rho_B)
            tau = _rows(powers, self.log_tau_PN).exp()
        elif self.form == "total":
            tau = (self.log_total.exp() * self.share_N.softmax(0))[None]
        else:
            tau = self.tau_N[None]
        if not self.momentum:
            return tau, None
        raw = self.momentum_PN if powers is None else _rows(powers, self.momentum_PN)
        return tau, raw.sigmoid()

    def preconditioner(
        self, d: Tensor, k_per_mm: Tensor | None, rho_B: Tensor | None = None
    ) -> Tensor | None:
        """p = 1 / (d^2 + lambda(|k|, rho)): B and the shape of `d`; None if not configured.

        One step of 1 is then Wiener's filter, with the spectrum of maps in lambda: ln lambda runs
        straight between its knots in ln |k|.
        """
        if self.log_lambda_PJ is None:
            return None
        if k_per_mm is None:
            raise ValueError("expected |k| for a preconditioned net, received none")
        rows = self.log_lambda_PJ.to(d)
        log_lambda_BJ = _rows(self._powers(rho_B).to(d), rows) if self.form == "noise" else rows
        log_lambda = between(log_lambda_BJ, place_of(k_per_mm))
        if rho_B is not None:
            log_lambda = within_reach(log_lambda, k_per_mm, rho_B, self.reach_per_mm)
        return 1 / (d.square() + log_lambda.exp())

    def _powers(self, rho_B: Tensor | None) -> Tensor:
        """BP: 1, s, s^2 with s = log10(rho / RHO_0)."""
        if rho_B is None:
            raise ValueError("expected rho for steps that follow the noise, received none")
        # Beyond the range that was learned a polynomial runs away.
        s = (rho_B.clamp(*RHO_RANGE) / RHO_0).log() / math.log(10)
        return torch.stack([s**k for k in range(ORDER + 1)], 1)

    def forward(
        self,
        phase_BZYX_rad: Tensor,
        d_ZH: Tensor,
        weight_BZYX: Tensor | None = None,
        rho_B: Tensor | None = None,
        k_ZH_per_mm: Tensor | None = None,
    ) -> Tensor:
        """chi_BZYX in rad; d and |k| from `tasks.qsm.dipole`, of the volume's own sizes."""
        tau, beta = self.schedule(rho_B)
        p = self.preconditioner(d_ZH, k_ZH_per_mm, rho_B)
        if weight_BZYX is not None and self.form == "noise":
            weight_BZYX = unit_weights(weight_BZYX)
        return descend(phase_BZYX_rad, d_ZH, tau, beta, weight_BZYX, precondition=p)

    def filter(
        self, d_K: Tensor, rho_B: Tensor | None = None, k_K_per_mm: Tensor | None = None
    ) -> Tensor:
        """BK: what the steps do to a small phase where W = 1."""
        tau, beta = self.schedule(rho_B)
        p = self.preconditioner(d_K, k_K_per_mm, rho_B)
        beta = None if beta is None else beta.to(d_K)
        return step_filter(d_K, tau.to(d_K), beta, 1.0 if p is None else p)


def _rows(powers_BP: Tensor, rows_PN: Tensor) -> Tensor:
    """powers @ rows, but in full precision wherever it runs."""
    # a product and a sum: matrix kernels of some devices round to ten bits
    return (powers_BP[:, :, None] * rows_PN.to(powers_BP)[None]).sum(1)


def unit_weights(weight_BZYX: Tensor) -> Tensor:
    """Weights with a mean square of 1 where they are above 0: steps are learned for that, and
    weights below 1 would make every step shorter."""
    inside = (weight_BZYX > 0).flatten(1).sum(1).clamp(min=1)
    mean = weight_BZYX.square().flatten(1).sum(1) / inside
    return weight_BZYX / mean.sqrt().clamp(min=1e-30)[:, None, None, None]


def between(table_BJ: Tensor, place: Tensor) -> Tensor:
    """B and the shape of `place`: straight lines between the columns."""
    low = place.floor().clamp(0, table_BJ.shape[1] - 2)
    share, low = place - low, low.long()
    return torch.lerp(table_BJ[:, low], table_BJ[:, low + 1], share)


def within_reach(log_lambda: Tensor, k: Tensor, rho_B: Tensor, reach: float) -> Tensor:
    """ln lambda, and above the |k| of training that of Tikhonov's filter for this noise."""
    tikhonov = suited_alpha(usable(rho_B.to(k))).log().reshape([-1] + [1] * k.ndim)
    return torch.where(k > 1.001 * reach, tikhonov, log_lambda)  # not for a rounded corner


class Grid:
    """Kernel and |k| of a volume's padded sizes, made once a device; pads, runs and crops."""

    def __init__(self, shape: Sizes, geometry: Geometry) -> None:
        self.shape, self.geometry, self.sizes = shape, geometry, fast_sizes(shape)
        self._kept: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def kernels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(d, |k| cycles per mm) ZH."""
        if device not in self._kept:
            kernels = dipole_kernel(self.sizes, self.geometry), frequency(self.sizes, self.geometry)
            self._kept[device] = tuple(v.to(device) for v in kernels)
        return self._kept[device]

    def noise_ratio(self, phase_BZYX: Tensor) -> Tensor:
        """rho B of `tasks.qsm.spectrum.noise_ratio`, with the kernel at hand."""
        return noise_ratio(phase_BZYX, self.geometry, self.kernels(phase_BZYX.device)[0])

    def run(
        self, net: nn.Module, phase_BZYX: Tensor, weight_BZYX: Tensor | None, rho_B: Tensor
    ) -> Tensor:
        """chi_BZYX in rad; zeros are padded, only up to fast sizes."""
        d, k = self.kernels(phase_BZYX.device)
        weight = None if weight_BZYX is None else padded(weight_BZYX, self.sizes)
        return cropped(net(padded(phase_BZYX, self.sizes), d, weight, rho_B, k), self.shape)

    def descend(
        self, phase_BZYX: Tensor, weight_BZYX: Tensor | None, counts: Sequence[int], tau: float
    ) -> list[Tensor]:
        """chi_BZYX in rad after each of the rising `counts` of equal steps."""
        d, _ = self.kernels(phase_BZYX.device)
        phase = padded(phase_BZYX, self.sizes)
        weight = None if weight_BZYX is None else padded(weight_BZYX, self.sizes)
        maps: list[Tensor] = []
        for before, count in pairwise((0, *counts)):
            taus = torch.full((count - before,), tau, device=phase.device)
            maps.append(descend(phase, d, taus, None, weight, maps[-1] if maps else None))
        return [cropped(chi, self.shape) for chi in maps]


def referenced(chi_BZYX: Tensor, mask_BZYX: Tensor) -> Tensor:
    """Mean 0 in the mask, 0 outside: what a phase can tell of a map."""
    inside = mask_BZYX.flatten(1).sum(1).clamp(min=1)
    mean = (chi_BZYX * mask_BZYX).flatten(1).sum(1) / inside
    return (chi_BZYX - mean[:, None, None, None]) * mask_BZYX
