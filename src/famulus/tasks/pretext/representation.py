"""What can be said of features without labels, and with the labels of neighbours only.

Shapes: B samples, D features, K classes.
Source: effective rank: nets/rank.py; spread: lightly's collapse level, after Chen & He 2021,
arXiv 2011.10566.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from famulus.nets.rank import effective_rank


def feature_rank(features_BD: Tensor) -> float:
    """Effective rank: 1 .. min(B, D); 1 when all lie on a line, 0 when all are the same.

    Centred first: features that differ only by an offset carry nothing.
    """
    centred = features_BD.double() - features_BD.double().mean(0)
    values = torch.linalg.svdvals(centred)
    return 0.0 if values.sum() <= 1e-12 else effective_rank(values)


def feature_std(features_BD: Tensor) -> float:
    """Mean standard deviation of unit features times sqrt(D): 1 healthy, 0 collapsed."""
    unit = normalize(features_BD.double(), dim=1)
    return float(unit.std(0, correction=0).mean()) * math.sqrt(features_BD.shape[1])


def cosine_of_others(features_BD: Tensor) -> float:
    """Mean cosine of features of different pictures: near 1 where an offset drowns the rest."""
    unit = normalize(features_BD.double(), dim=1)
    count = len(unit)
    if count < 2:
        return math.nan
    total = unit.sum(0).square().sum() - unit.square().sum()
    return float(total) / (count * (count - 1))


def nearest_votes(
    query_BD: Tensor,
    bank_ND: Tensor,
    label_N: Tensor,
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
    skip_B: Tensor | None = None,
) -> Tensor:
    """BK votes of the k nearest by cosine, weighted exp(cosine / T); `skip_B`: a row of the bank
    that each query may not ask (itself). Source: Wu et al. 2018, arXiv 1805.01978."""
    bank = normalize(bank_ND, dim=1)
    rows = []
    # in parts: all similarities at once are B x N
    for start in range(0, len(query_BD), 1024):
        alike = normalize(query_BD[start : start + 1024], dim=1) @ bank.T
        if skip_B is not None:
            # itself is the nearest, and its label the answer
            alike.scatter_(1, skip_B[start : start + 1024, None], -math.inf)
        near = alike.topk(min(k, len(bank) - (skip_B is not None)), 1)
        # less the largest: exp(1 / .07) overflows half precision, and votes are ratios
        weight = (near.values / temperature - near.values[:, :1] / temperature).exp()
        rows.append((one_hot(label_N[near.indices], classes) * weight[..., None]).sum(1))
    return torch.cat(rows)


def nearest_accuracy(
    query_BD: Tensor,
    query_label_B: Tensor,
    bank_ND: Tensor,
    label_N: Tensor,
    classes: int,
    k: int = 20,
) -> float:
    """Share of queries whose neighbours in the bank vote for their own class."""
    votes = nearest_votes(query_BD, bank_ND, label_N, classes, k)
    return float((votes.argmax(1) == query_label_B).double().mean())


def leave_one_out(features_BD: Tensor, label_B: Tensor, classes: int, k: int = 20) -> float:
    """Share of samples whose nearest others vote for their class."""
    if len(features_BD) < 2:
        return math.nan
    own = torch.arange(len(features_BD), device=features_BD.device)
    votes = nearest_votes(features_BD, features_BD, label_B, classes, k, skip_B=own)
    return float((votes.argmax(1) == label_B).double().mean())


def health(features_BD: Tensor, label_B: Tensor | None, classes: int) -> dict[str, float]:
    """`feature_rank`, `feature_std`, `feature_cosine`, and with labels `knn`; what is no number is
    left out."""
    values = {
        "feature_rank": feature_rank(features_BD),
        "feature_std": feature_std(features_BD),
        "feature_cosine": cosine_of_others(features_BD),
    }
    if label_B is not None:
        values["knn"] = leave_one_out(features_BD, label_B, classes)
    return {name: value for name, value in values.items() if math.isfinite(value)}
