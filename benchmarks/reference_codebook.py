"""The vector quantiser that people write first: a codebook trained by its own gradient.

Shapes: B C Y X features, K codes, D = C numbers a code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class VectorQuantizer(nn.Module):
    def __init__(self, size: int, width: int, beta: float = 0.25) -> None:
        super().__init__()
        self.beta = beta
        self.codebook = nn.Embedding(size, width)
        nn.init.uniform_(self.codebook.weight, -1 / size, 1 / size)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The quantised features, the loss of codebook and commitment, and the codes."""
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        distance = torch.cdist(flat, self.codebook.weight)
        codes = distance.argmin(1)
        e = self.codebook(codes).view(z.shape[0], *z.shape[2:], z.shape[1]).permute(0, 3, 1, 2)
        loss = F.mse_loss(e, z.detach()) + self.beta * F.mse_loss(e.detach(), z)
        return z + (e - z).detach(), loss, codes
