"""Losses on similarities, distances and soft labels.

Shapes: B samples, N slots or candidates, D features. Units: nats, or squared distances.
`logits_BN` are similarities (larger = alike); `target_BN` lies in 0..1 (soft labels allowed).
Source: margin: Hadsell et al. 2006, doi:10.1109/CVPR.2006.100; InfoNCE: arXiv 1807.03748; soft
labels of mixtures: Un-Mix arXiv 2003.05438, i-Mix arXiv 2010.08887.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, normalize

from famulus.config.errors import Unfit

REDUCTIONS = ("none", "mean", "sum")


def _reduced(loss_B: Tensor, reduction: str) -> Tensor:
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"reduction: expected one of {', '.join(REDUCTIONS)}, received {reduction!r}"
        )
    return {"none": lambda x: x, "mean": Tensor.mean, "sum": Tensor.sum}[reduction](loss_B)


def same_shape(output: Tensor, target: Tensor) -> None:
    """Raises ValueError instead of broadcasting, which trains towards the wrong targets."""
    if output.shape != target.shape:
        raise Unfit(
            f"expected target of the output's shape {tuple(output.shape)}, "
            f"received {tuple(target.shape)}",
            "shapes-broadcast",
        )


def smooth_softmax(logits: Tensor, temperature: float = 1.0, log: bool = False) -> Tensor:
    """softmax(logits / T) over the last axis, or its logarithm. Raises ValueError if T <= 0."""
    if not temperature > 0:
        raise ValueError(f"expected temperature > 0, received {temperature}")
    # the logarithm first: ln of a softmax is -inf where it underflows
    result = log_softmax(logits / temperature, -1)
    return result if log else result.exp()


def multi_label(logits_BN: Tensor, target_BN: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross-entropy, mean over the slots.

    Raises ValueError for class numbers (integers): BCE on those falls below any bound.
    """
    same_shape(logits_BN, target_BN)
    if not target_BN.is_floating_point():
        raise ValueError(f"expected targets as floats in 0..1, received {target_BN.dtype}")
    # with logits: the sigmoid and its logarithm together can't overflow
    loss = binary_cross_entropy_with_logits(logits_BN, target_BN, reduction="none")
    return _reduced(loss.mean(-1), reduction)


def soft_label(
    logits_BN: Tensor, target_BN: Tensor, temperature: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """-sum_n t_n ln softmax(l / T)_n; targets are divided by their sum."""
    same_shape(logits_BN, target_BN)
    # a row of zeros stays one, and costs nothing
    share_BN = target_BN / target_BN.sum(-1, keepdim=True).clamp(min=1e-12)
    return _reduced(-(share_BN * smooth_softmax(logits_BN, temperature, True)).sum(-1), reduction)


def pairwise_distance(output_BN: Tensor, target_BN: Tensor, reduction: str = "mean") -> Tensor:
    """Euclidean distance of each row of the output to its target; finite slope at distance 0."""
    same_shape(output_BN, target_BN)
    return _reduced(((output_BN - target_BN).square().sum(-1) + 1e-12).sqrt(), reduction)


def margin_loss(
    distance_BN: Tensor, target_BN: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """t d^2 + (1 - t) max(0, margin - d)^2, mean over the slots; 1 = the same.

    With soft targets both parts count. Raises ValueError if margin <= 0.
    """
    if not margin > 0:
        raise ValueError(f"expected margin > 0, received {margin}")
    same_shape(distance_BN, target_BN)
    # beyond the margin nothing is to be gained: what is far apart stays where it is
    apart = (margin - distance_BN).clamp(min=0).square()
    return _reduced(
        (target_BN * distance_BN.square() + (1 - target_BN) * apart).mean(-1), reduction
    )


def cosine_similarities(a_BD: Tensor, b_ND: Tensor) -> Tensor:
    """BN cosines of every row of a with every row of b."""
    return normalize(a_BD, dim=-1) @ normalize(b_ND, dim=-1).T


def mixed_info_nce(
    a_BD: Tensor, b_BD: Tensor, target_BB: Tensor, temperature: float = 0.2, symmetric: bool = False
) -> Tensor:
    """Cross-entropy of cosines / T against soft labels: row i of a is target_ij of picture j."""
    logits_BB = cosine_similarities(a_BD, b_BD)
    loss = soft_label(logits_BB, target_BB, temperature)
    if symmetric:
        # only where targets are symmetric: of mixtures the reverse is another question
        loss = (loss + soft_label(logits_BB.T, target_BB.T, temperature)) / 2
    return loss


def info_nce(a_BD: Tensor, b_BD: Tensor, temperature: float = 0.2) -> Tensor:
    """Which of the B rows of b belongs to each row of a, and the reverse: nats, chance ln B."""
    # each its own: rows of a and b are in the same order
    target_BB = torch.eye(len(a_BD), dtype=a_BD.dtype, device=a_BD.device)
    return mixed_info_nce(a_BD, b_BD, target_BB, temperature, symmetric=True)


def mixing_targets(weight_B: Tensor, partner_B: Tensor) -> Tensor:
    """BB soft labels of w x_i + (1 - w) x_partner(i): w at i, 1 - w at the partner."""
    own_BB = torch.diag(weight_B)
    return own_BB.scatter_add(1, partner_B[:, None], (1 - weight_B)[:, None])
