"""The sampler that people write: one full forward pass for every single code.

Shapes: codes B Y X H, logits B Y X H K.
"""

import torch
from torch import Tensor, nn

from famulus.tasks.codes.prior_net import PriorNet


@torch.no_grad()
def sample(model: nn.Module, codes: Tensor, picks: list[tuple[int, int, int]]) -> Tensor:
    """Draws the codes at `picks` (row, column, code), a whole forward pass each."""
    for y, x, h in picks:
        logits = model(codes)[:, y, x, h]
        codes[:, y, x, h] = torch.multinomial(logits.softmax(-1), 1)[:, 0]
    return codes


@torch.no_grad()
def cached_logits(prior: PriorNet, codes: Tensor, label_B: Tensor | None = None) -> Tensor:
    """`forward`'s logits B...HK by way of the cache, place after place: both must agree."""
    batch = codes.shape[0]
    codes_BTH = codes.reshape(batch, prior.places, prior.per_place)
    state = prior.start(batch, label_B, codes.device)
    rows = []
    for place in range(prior.places):
        rows.append(prior.head(prior.advance(state, place), codes_BTH[:, place]))
        prior.put(state, place, codes_BTH[:, place])
    return torch.stack(rows, 1).reshape(*codes.shape, prior.size)
