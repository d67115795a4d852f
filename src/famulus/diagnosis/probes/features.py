"""How alike the features of different samples are, and how many directions they use.

Shapes: B samples, D features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from famulus.diagnosis.probes.tensors import Sheet, gram, pooled, rank_of_gram

LEAST = 4  # samples, and numbers, of features that are compared


def are_features(value: Tensor) -> bool:
    """(B, D), of several samples and enough numbers to have a direction?"""
    return value.dim() == 2 and min(value.shape) >= LEAST


def describe(features_BD: Tensor, sheet: Sheet, into: dict[str, Any]) -> None:
    """`cosine`, `spread` and `rank` of features, and `of`, their number D, once `sheet` is read.

    cosine: mean of different samples'; spread: standard deviation over samples of features of
    length 1, times sqrt(D): 1 where directions are independent, 0 where all are the same (Chen & He
    2021, arXiv 2011.10566); rank: effective rank of the centred features.
    """
    rows = pooled(features_BD.detach(), -1)
    count, width = rows.shape
    units = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-30)
    sums = units.sum(0).square().sum() - units.square().sum()
    sheet.scalar(sums / (count * (count - 1)), into, "cosine")
    sheet.scalar(units.var(0, correction=0).mean() * width, into, "spread", root=True)
    into["of"] = width

    def place(found: Any) -> None:
        into["rank"] = rank_of_gram(found)

    sheet.put(gram(rows), place)
