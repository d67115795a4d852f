"""The kernel's grid is linspace(-1, 1, N), then fftshift: half a sample off, or one."""

import torch
from torch import Tensor

from famulus.tasks.qsm.ndi import Grid
from famulus.tasks.qsm.qsm import Qsm


class Shifted(Grid):
    def kernels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        _, k = super().kernels(device)
        axes = [torch.linspace(-1, 1, n) for n in self.sizes]
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        r2 = (z.square() + y.square() + x.square()).clamp(min=1e-12)
        d = torch.fft.fftshift(1 / 3 - z.square() / r2)
        return d[..., : self.sizes[2] // 2 + 1].contiguous().to(device), k


class QsmShiftedGrid(Qsm):
    GRID = Shifted
