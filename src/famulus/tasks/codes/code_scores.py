"""How well codes are predicted: bits, nats, accuracy, and what the unigram alone scores.

Shapes: ... B and the grid, H codes a place, K codes. Units: bits a code, nats a picture.
A code equal to K is padding: neither predicted nor counted.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def code_nats(logits: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy in nats of every code and which of them count: ...H and bool ...H."""
    size = logits.shape[-1]
    nats = F.cross_entropy(
        logits.reshape(-1, size).float(), codes.reshape(-1), ignore_index=size, reduction="none"
    )
    return nats.view(codes.shape), codes < size


def unigram(counts_HK: Tensor) -> tuple[float, float]:
    """Entropy in bits and accuracy of the best guess that ignores all other codes.

    `counts_HK`: how often each code occurs, a row for each of a place's codes. Both are means
    over the rows.
    """
    # a row without a code has no share
    share = counts_HK.double() / counts_HK.sum(1, keepdim=True).clamp(min=1)
    bits = torch.special.entr(share).sum(1).mean() / math.log(2)
    return float(bits), float(share.max(1).values.mean())


def unigram_cross_entropy(train_HK: Tensor, held_out_HK: Tensor) -> float:
    """Bits a held-out code costs under the training set's frequencies (one added to each)."""
    # one added: a code that training never saw would cost infinity
    p = (train_HK.double() + 1) / (train_HK.double() + 1).sum(1, keepdim=True)
    share = held_out_HK.double() / held_out_HK.sum(1, keepdim=True).clamp(min=1)
    return float(-(share * p.log2()).sum(1).mean())


def grey_of_levels(codes: Tensor, levels: int) -> Tensor:
    """Pictures BCYX of level codes: the middle of each level, black where there is padding."""
    grey = codes.clamp(max=levels - 1).float() / max(levels - 1, 1)
    return grey.masked_fill(codes == levels, 0.0).movedim(-1, 1)
