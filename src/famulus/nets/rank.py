"""How many directions features use, from singular values: their effective rank.

exp(-sum_k p_k log p_k) with p_k = s_k / sum(s): K where all are equal, 1 where one is all. It does
not change with the features' scale, but with their offset: centre them first.
Shapes: K singular values.
Source: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO,
pp. 606-610; of a net's features: Garrido et al. 2023 (RankMe), arXiv 2210.02885.
"""

import math

import torch
from torch import Tensor


def effective_rank(singular_values_K: Tensor) -> float:
    """1 .. K; zeros count nothing. NaN if all are 0: what that means is for the caller to say."""
    share = singular_values_K / singular_values_K.sum()
    # 0 log 0 is 0 in xlogy, and NaN as a product.
    return math.exp(float(-torch.special.xlogy(share, share).sum()))
