"""What a net that ignores its input can reach, in closed form from the actual targets.

Targets are grey values in 0..1 on 256 levels, so one table of counts holds all that is needed.
Shapes: L = 256 levels, P everything of one sample (channels and pixels), B batch.
"""

import torch
from torch import Tensor

LEVELS = 256


def level_counts(image_B: Tensor) -> Tensor:
    """How often each position shows each level: LP, int64. Add the tables of several batches."""
    # clamped: an interpolated picture may leave 0..1 by rounding, and its level the table
    levels_BP = (image_B.flatten(1).clamp(0, 1) * (LEVELS - 1)).round().long()
    positions = levels_BP.shape[1]
    # one count over (level, position): a loop over positions would be one call each
    cell_BP = levels_BP * positions + torch.arange(positions, device=levels_BP.device)
    return torch.bincount(cell_BP.flatten(), minlength=LEVELS * positions).view(LEVELS, positions)


def best_constant(name: str, counts_LP: Tensor) -> Tensor:
    """The image that is best for everyone: P. Median for l1 and laplace, mean for the others."""
    grey_L = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    if name in ("l1", "laplace"):
        # twice the count against the total: whole numbers, so a tie is exact
        seen_LP = counts_LP.cumsum(0) * 2
        return grey_L[(seen_LP >= counts_LP.sum(0)).int().argmax(0)]
    return grey_L @ counts_LP.double() / counts_LP.sum(0)


def error_of_constant(name: str, counts_LP: Tensor, constant_P: Tensor) -> float:
    """Mean per pixel of |d|, d^2 or cross-entropy in nats if every image were `constant_P`."""
    grey_L1 = torch.linspace(0, 1, LEVELS, dtype=torch.float64)[:, None]
    if name in ("l1", "laplace"):
        error_LP = (grey_L1 - constant_P).abs()
    elif name in ("l2", "gaussian"):
        error_LP = (grey_L1 - constant_P).square()
    else:
        # finite also where a target differs from a constant that was 0 or 1 in training
        p_P = constant_P.clamp(1e-4, 1 - 1e-4)
        error_LP = -(grey_L1 * p_P.log() + (1 - grey_L1) * (1 - p_P).log())
    return float((counts_LP * error_LP).sum() / counts_LP.sum())


def entropy_of_targets(counts_LP: Tensor) -> float:
    """Cross-entropy of a perfect reconstruction, nats per pixel: 0 only for black and white."""
    grey_L = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    # xlogy: 0 ln 0 is 0 for black and white
    h_L = -(torch.xlogy(grey_L, grey_L) + torch.xlogy(1 - grey_L, 1 - grey_L))
    return float(counts_LP.sum(1).double() @ h_L / counts_LP.sum())


def own_median_error(image_B: Tensor) -> Tensor:
    """Mean |image - its own median| of each image, over all its channels: B."""
    flat_BP = image_B.flatten(1)
    return (flat_BP - flat_BP.median(1, keepdim=True).values).abs().mean(1)
