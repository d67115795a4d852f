"""Causality by perturbation: flip a code, and see exactly which logits move.

Shapes: T places in raster order, H codes a place, K codes.
A prior that sees a later code predicts what it is told; one that never sees another row stops
early whatever its size. Both pass a look at the loss curve; neither passes this.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from famulus.config.errors import Unfit
from famulus.tasks.codes.prior_net import PriorNet


@torch.no_grad()
def moved(logits_of: Callable[[Tensor], Tensor], codes: Tensor, place: int, h: int, size: int):
    """Which logits move when code h of `place` becomes the next one: bool, T x H.

    `codes` has one picture: 1...H. Compared bit for bit, in two calls of one shape: a place that
    does not depend on a code computes the same sums.
    """
    flipped = codes.clone()
    flat = flipped.view(-1, codes.shape[-1])
    flat[place, h] = (flat[place, h] + 1) % size
    before, after = logits_of(codes), logits_of(flipped)
    return (before != after).any(-1).reshape(-1, codes.shape[-1])


def self_test(prior: PriorNet, flips: int = 3) -> int:
    """A few flips on the net as built: nothing forbidden may move, and something must, also in a
    later row where that is declared: a net whose rows do not know each other learns all the same.

    In float32 a far, weak influence can round away, so the exact set is the tests' business.
    Takes nothing from the random stream. Returns how many logits moved in all; raises ValueError
    saying what moved if one must not have, or none did.
    """
    count = prior.places * prior.per_place
    # different codes in a row: equal ones could hide an influence
    codes = (torch.arange(count) * 7 % prior.size).view(1, *prior.grid, prior.per_place)
    label = None if prior.label is None else torch.zeros(1, dtype=torch.int64)
    training, seen = prior.training, 0
    prior.eval()
    for i in range(flips):
        place = (prior.places - 1) * i // (2 * max(flips - 1, 1))  # none in the last half
        changed = moved(lambda c: prior(c, label), codes, place, 0, prior.size)
        declared = prior.reach(place, 0)
        seen += int(changed.sum())
        below = torch.arange(prior.places) // prior.grid[-1] > place // prior.grid[-1]
        parts = (declared, declared & below[:, None])
        deaf = any(part.any() and not (changed & part).any() for part in parts)
        if (changed & ~declared).any() or deaf:
            raise Unfit(
                f"causality: flipping code 0 of place {place} moved "
                f"{int((changed & ~declared).sum())} predictions that must not move, and of those "
                f"that must {int((changed & declared).sum())} of {int(declared.sum())}, in later "
                f"rows {int((changed & parts[1]).sum())} of {int(parts[1].sum())}",
                "not-causal",
            )
    prior.train(training)
    return seen
