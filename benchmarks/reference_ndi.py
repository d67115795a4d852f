"""Nonlinear dipole inversion in the form that people write: four complex transforms a step."""

import torch
from torch import Tensor


def dipole_kernel_zyx(n: int) -> Tensor:
    """1/3 - kz^2/k^2 on the whole grid of n^3 voxels, 0 at k = 0."""
    f = torch.fft.fftfreq(n)
    kz, ky, kx = torch.meshgrid(f, f, f, indexing="ij")
    k2 = kz**2 + ky**2 + kx**2
    k2[0, 0, 0] = 1
    kernel = 1 / 3 - kz**2 / k2
    kernel[0, 0, 0] = 0
    return kernel


def ndi_step(chi: Tensor, phase: Tensor, weight: Tensor, kernel: Tensor, tau: float) -> Tensor:
    """chi - tau D W^2 sin(D chi - phase), each D a pair of complex transforms."""
    field = torch.fft.ifftn(kernel * torch.fft.fftn(chi)).real
    pull = weight**2 * torch.sin(field - phase)
    return chi - tau * torch.fft.ifftn(kernel * torch.fft.fftn(pull)).real


def ndi(phase: Tensor, weight: Tensor, kernel: Tensor, taus: list[float]) -> Tensor:
    chi = torch.zeros_like(phase)
    for tau in taus:
        chi = ndi_step(chi, phase, weight, kernel, tau)
    return chi
