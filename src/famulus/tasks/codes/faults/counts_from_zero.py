"""Codes, with running counts that start at 0 under sums that start at the codes: not debiased.

After one step an unused code is its sum over a count near 0: a hundred times as long as the vectors
it stands for, and nobody chooses it again (rosinality/vq-vae-2-pytorch, PR 72).
"""

import torch
from torch import nn

from famulus.tasks.codes.codes import Codes


class CountsFromZero(Codes):
    def build(self) -> nn.Module:
        model = super().build()
        quantiser = model.quantiser
        with torch.no_grad():
            quantiser.sums_GKD.copy_(quantiser.codebook_GKD)
            quantiser.counts_GK.fill_(1e-5)
            quantiser.weight.fill_(1.0)
        quantiser.reset_below = 0.0
        return model
