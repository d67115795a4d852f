"""Gradient steps of nonlinear dipole inversion whose map is 0 outside of the mask.

    v_{k+1} = beta_k v_k - tau_k M P D W^2 sin(D chi_k - phase),   chi_{k+1} = chi_k + v_{k+1}

M is the mask, P > 0 a preconditioner that is diagonal in k-space, as D is. A tissue field has its
sources in the mask; without M, part of it is explained by sources where none can be. With M the
steps leave k-space: four real FFTs a step, where `descent` needs two.

Shapes: B batch, Z Y X voxels, H = X//2+1, N steps. Units: phase and chi in rad (phase = D chi).
"""

import torch
from torch import Tensor

_SPACE = (1, 2, 3)


def descend_within(
    phase_BZYX: Tensor,
    d_ZH: Tensor,
    p_BZH: Tensor,
    tau_BN: Tensor,
    beta_BN: Tensor,
    weight2_BZYX: Tensor,
    mask_BZYX: Tensor,
) -> Tensor:
    """chi_BZYX rad after N steps from 0; gradients for p, tau and beta."""
    sizes = phase_BZYX.shape[1:]
    gain_BZH = p_BZH * d_ZH
    chi = change = torch.zeros_like(phase_BZYX)
    residual = -phase_BZYX
    for k in range(tau_BN.shape[1]):
        if k > 0:
            spectrum = torch.fft.rfftn(chi, dim=_SPACE) * d_ZH
            residual = torch.fft.irfftn(spectrum, s=sizes, dim=_SPACE) - phase_BZYX
        spectrum = torch.fft.rfftn(weight2_BZYX * residual.sin(), dim=_SPACE) * gain_BZH
        gradient = torch.fft.irfftn(spectrum, s=sizes, dim=_SPACE) * mask_BZYX
        change = _each(beta_BN, k) * change - _each(tau_BN, k) * gradient
        chi = chi + change
    return chi


def _each(rows_BN: Tensor, k: int) -> Tensor:
    return rows_BN[:, k, None, None, None]
