"""A plain step: fp32, NCDHW, unfused Adam, a loss that waits for nothing."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def plain_step(net: nn.Module, image: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-4, fused=False, foreach=False)

    def step() -> None:
        optimizer.zero_grad()
        out = net(image)
        loss = ((out.raw - image) ** 2).mean()
        loss.backward()
        optimizer.step()

    return step
