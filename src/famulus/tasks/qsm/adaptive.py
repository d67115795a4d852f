"""Learned steps that follow the scan: its noise, its own spectrum, its voxels and its mask.

One net for any scan: every step, momentum and lambda is a function of rho; lambda is one of |k| in
cycles per mm, of the frequency relative to Nyquist, and of what power this very scan has at |k|;
and the map stays 0 outside of the mask.

Shapes: B batch, Z Y X voxels, H = X//2+1, N steps, R knots of rho, J of |k|, K values of d. Units:
phase and chi in rad, |k| cycles per mm; rho, the power of chi over that of the noise, has none.
"""

import math

import torch
from torch import Tensor, nn

from famulus.tasks.qsm.bands import KNOTS_PER_MM, place_of, power_ratios
from famulus.tasks.qsm.inversion import suited_alpha, usable
from famulus.tasks.qsm.ndi import D2_MAX, between, unit_weights, within_reach
from famulus.tasks.qsm.steps import step_filter
from famulus.tasks.qsm.within import descend_within

RHO_DECADES = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)  # log10 of rho
CYCLES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)  # per voxel; 1/2 along an axis is Nyquist


class AdaptiveNdi(nn.Module):
    """N preconditioned steps with momentum on |W (exp(i D chi) - exp(i phase))|^2, chi = 0 outside.

    At first p d^2 <= tau 4/9, momentum 1/2, and lambda = 1/rho + 1/330 at every |k|.
    """

    def __init__(self, steps: int, *, tau: float = 1.0) -> None:
        super().__init__()
        if steps < 1 or tau <= 0:
            raise ValueError(f"expected steps >= 1 and tau > 0, received {steps=} and {tau=}")
        self.steps = steps
        self.reach_per_mm = math.inf  # the highest |k| of training, beyond which lambda is unknown
        rho_R = 10 ** torch.tensor(RHO_DECADES)
        self.log_tau_RN = nn.Parameter(torch.full((len(rho_R), steps), math.log(tau * D2_MAX)))
        self.momentum_RN = nn.Parameter(torch.zeros(len(rho_R), steps))
        rows_RJ = suited_alpha(usable(rho_R)).log()[:, None].repeat(1, len(KNOTS_PER_MM))
        self.log_lambda_RJ = nn.Parameter(rows_RJ)
        self.own_RJ = nn.Parameter(torch.zeros_like(rows_RJ))  # how far the scan's power counts
        self.cycles_RC = nn.Parameter(torch.zeros(len(rho_R), len(CYCLES)))

    def _knots(self, rho_B: Tensor | None) -> Tensor:
        """BR: shares of the two knots beside each rho; they add up to 1."""
        if rho_B is None:
            raise ValueError("expected rho for steps that follow the noise, received none")
        knots = torch.tensor(RHO_DECADES, device=rho_B.device, dtype=rho_B.dtype)
        at = rho_B.log10().clamp(RHO_DECADES[0], RHO_DECADES[-1])
        return (1 - (at[:, None] - knots).abs()).clamp(min=0)

    def schedule(self, rho_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(tau, beta) BN."""
        share = self._knots(rho_B)
        return _rows(share, self.log_tau_RN).exp(), _rows(share, self.momentum_RN).sigmoid()

    def preconditioner(
        self,
        d: Tensor,
        k_per_mm: Tensor | None,
        rho_B: Tensor | None = None,
        cycles: Tensor | None = None,
        own_BJ: Tensor | None = None,
    ) -> Tensor:
        """p = 1 / (d^2 + lambda): B and the shape of `d`. Without `cycles` and `own_BJ`, as for a
        frequency far below Nyquist and a scan of usual power."""
        if k_per_mm is None:
            raise ValueError("expected |k| for a preconditioned net, received none")
        share = self._knots(rho_B).to(d)
        table_BJ = _rows(share, self.log_lambda_RJ)
        if own_BJ is not None:
            table_BJ = table_BJ + _rows(share, self.own_RJ) * own_BJ
        log_lambda = between(table_BJ, place_of(k_per_mm))
        if cycles is not None:
            knots = torch.tensor(CYCLES, device=d.device, dtype=d.dtype)
            low = torch.bucketize(cycles.contiguous(), knots).clamp(1, len(CYCLES) - 1)
            place = low - 1 + (cycles - knots[low - 1]) / (knots[low] - knots[low - 1])
            log_lambda = log_lambda + between(_rows(share, self.cycles_RC), place)
        if rho_B is not None:
            log_lambda = within_reach(log_lambda, k_per_mm, rho_B, self.reach_per_mm)
        return 1 / (d.square() + log_lambda.exp())

    def forward(
        self,
        phase_BZYX_rad: Tensor,
        d_ZH: Tensor,
        weight_BZYX: Tensor | None = None,
        rho_B: Tensor | None = None,
        k_ZH_per_mm: Tensor | None = None,
    ) -> Tensor:
        """chi_BZYX in rad, 0 where the weight is; d and |k| of the volume's own sizes."""
        if k_ZH_per_mm is None or rho_B is None:
            raise ValueError("expected |k| and rho for a net that follows the scan, received none")
        weight = torch.ones_like(phase_BZYX_rad) if weight_BZYX is None else weight_BZYX
        mask = (weight > 0).to(phase_BZYX_rad)
        with torch.no_grad():
            place = place_of(k_ZH_per_mm)
            own_BJ = power_ratios(phase_BZYX_rad, mask, d_ZH, place, rho_B)
        tau, beta = self.schedule(rho_B)
        cycles = _cycles(phase_BZYX_rad)
        p = self.preconditioner(d_ZH, k_ZH_per_mm, rho_B, cycles, own_BJ)
        weight2 = unit_weights(weight).square()
        return descend_within(phase_BZYX_rad, d_ZH, p, tau, beta, weight2, mask)

    def filter(
        self, d_K: Tensor, rho_B: Tensor | None = None, k_K_per_mm: Tensor | None = None
    ) -> Tensor:
        """BK: what the steps do to a small phase where W = 1 and no mask cuts the map."""
        tau, beta = self.schedule(rho_B)
        p = self.preconditioner(d_K, k_K_per_mm, rho_B)
        return step_filter(d_K, tau.to(d_K), beta.to(d_K), p)


def _rows(share_BR: Tensor, table_RJ: Tensor) -> Tensor:
    # a product and a sum: matrix kernels of some devices round to ten bits
    return (share_BR[:, :, None] * table_RJ.to(share_BR)[None]).sum(1)


def _cycles(phase_BZYX: Tensor) -> Tensor:
    """Cycles per voxel ZH of the half spectrum: sqrt(fz^2 + fy^2 + fx^2), up to .87."""
    z, y, x = phase_BZYX.shape[1:]
    like = {"device": phase_BZYX.device, "dtype": phase_BZYX.dtype}
    fz, fy = (torch.fft.fftfreq(n, **like).square() for n in (z, y))
    fx = torch.fft.rfftfreq(x, **like).square()
    return (fz[:, None, None] + fy[:, None] + fx).sqrt()
