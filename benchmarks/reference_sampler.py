"""The sampler that people write: one full forward pass for every single code.

Shapes: codes B Y X H, logits B Y X H K.
"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def sample(model: nn.Module, codes: Tensor, picks: list[tuple[int, int, int]]) -> Tensor:
    """Draws the codes at `picks` (row, column, code), a whole forward pass each."""
    for y, x, h in picks:
        logits = model(codes)[:, y, x, h]
        codes[:, y, x, h] = torch.multinomial(logits.softmax(-1), 1)[:, 0]
    return codes
