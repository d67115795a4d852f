"""Right or wrong, and what pixels alone would answer.

Shapes: B samples, N slots, K classes, C channels, Y X pixels.
"""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot


def accuracy_of_sets(logits_BN: Tensor, target_BN: Tensor) -> Tensor:
    """bool B: every slot that is in ranks above every slot that is not (how many is given).

    Equal logits count as wrong: a net that answers the same for all slots has said nothing.
    """
    inside = target_BN > 0.5
    # order alone: a threshold would punish a net for its bias, which the loss has to settle
    least_in = logits_BN.masked_fill(~inside, torch.inf).amin(1)
    most_out = logits_BN.masked_fill(inside, -torch.inf).amax(1)
    # not >=, so that a constant answer scores 0 and not 1
    return least_in > most_out


def thumbnails(image_BCYX: Tensor, side: int = 8) -> Tensor:
    """float64 B,F: averaged to side x side, and a column of ones."""
    # float64: the normal equations square the condition of the pixels
    rows = adaptive_avg_pool2d(image_BCYX.float(), side).flatten(1).double()
    return torch.cat([rows, rows.new_ones(len(rows), 1)], 1)


def pixel_probe(
    image: Tensor,
    target_B: Tensor,
    held_image: Tensor,
    held_target_B: Tensor,
    classes: int,
    ridge: float = 1.0,
) -> float:
    """Accuracy on held-out pictures of ridge regression from 8x8 thumbnails to the classes."""
    x, held = thumbnails(image), thumbnails(held_image)
    y = one_hot(target_B, classes).double()
    # neighbouring pixels are nearly alike: without a penalty the system may be singular
    penalty = ridge * torch.eye(x.shape[1], dtype=x.dtype)
    # or the answer would be pulled towards 0 instead of the mean
    penalty[-1, -1] = 0.0  # the constant is free
    weights = torch.linalg.solve(x.T @ x + penalty, x.T @ y)
    return float(((held @ weights).argmax(1) == held_target_B).double().mean())
