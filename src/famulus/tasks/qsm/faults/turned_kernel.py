"""The dipole kernel squares y where it should square z (QSM journal, 12/07: "the saga")."""

from dataclasses import replace

import torch
from torch import Tensor

from famulus.tasks.qsm.dipole import dipole_kernel
from famulus.tasks.qsm.ndi import Grid
from famulus.tasks.qsm.qsm import Qsm


class Turned(Grid):
    def kernels(self, device: torch.device) -> tuple[Tensor, Tensor]:
        _, k = super().kernels(device)
        along_y = replace(self.geometry, b0=(0.0, 1.0, 0.0))
        return dipole_kernel(self.sizes, along_y).to(device), k


class QsmTurnedKernel(Qsm):
    GRID = Turned
