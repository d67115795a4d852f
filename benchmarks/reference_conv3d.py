"""The journal's 3D VAE and its step as people write them: fp32, NCDHW, unfused Adam.

A loss that waits for nothing. Image B1DHW, any cube of 2^4 n voxels a side.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (1, 32, 64, 128, 256)


class PlainVAE(nn.Module):
    """Four convolutions with ReLU and max-pooling, two heads, four transposed convolutions."""

    def __init__(self, cube: int, code: int = 512) -> None:
        super().__init__()
        pairs = list(pairwise(CHANNELS))
        self.deepest = (CHANNELS[-1], *[cube // 2 ** len(pairs)] * 3)
        numbers = self.deepest[0] * self.deepest[1] ** 3
        self.encs = nn.ModuleList(nn.Conv3d(a, b, 3, padding=1) for a, b in pairs)
        self.pool = nn.MaxPool3d(2, stride=2)
        self.fc1, self.fc2 = nn.Linear(numbers, code), nn.Linear(numbers, code)
        self.dec1 = nn.Linear(code, numbers)
        self.decs = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, 2) for a, b in reversed(pairs))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        for enc in self.encs:
            x = self.pool(F.relu(enc(x)))
        x = x.view(x.size(0), -1)
        mu, log_sigma = self.fc1(x), self.fc2(x)
        noise = torch.randn_like(mu) if noise is None else noise
        z = self.dec1(mu + noise * log_sigma.exp()).view(x.size(0), *self.deepest)
        for dec in self.decs[:-1]:
            z = F.relu(dec(z))
        return self.decs[-1](z)


def plain_step(net: nn.Module, image: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-4, fused=False, foreach=False)

    def step() -> None:
        optimizer.zero_grad()
        loss = ((net(image) - image) ** 2).mean()
        loss.backward()
        optimizer.step()

    return step
