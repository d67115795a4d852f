"""What the best answer that ignores its input scores, from the actual targets.

Shapes: B samples, N slots, K classes. Units: those of the losses in `contrastive`.
"""

import math

import torch
from torch import Tensor


def entropy(p: Tensor) -> float:
    """-sum p ln p in nats, with 0 ln 0 = 0."""
    return float(-torch.special.xlogy(p.double(), p.double()).sum())


def multi_label(target_BN: Tensor) -> float:
    """BCE of each slot's mean: 2 of 3 slots give .6365."""
    p_N = target_BN.double().mean(0)
    return float(-(torch.special.xlogy(p_N, p_N) + torch.special.xlogy(1 - p_N, 1 - p_N)).mean())


def soft_label(target_BN: Tensor) -> float:
    """Cross-entropy of the mean of the targets, each divided by its sum."""
    # a question whose answer is no slot at all has sum 0
    share = target_BN.double() / target_BN.double().sum(1, keepdim=True).clamp(min=1e-12)
    return entropy(share.mean(0))


def classes(target_B: Tensor, count: int) -> float:
    """Cross-entropy of the classes' frequencies."""
    return entropy(torch.bincount(target_B, minlength=count) / len(target_B))


def absolute(target_BN: Tensor) -> float:
    """Mean distance to each slot's median."""
    target = target_BN.double()
    return float((target - target.median(0).values).abs().mean())


def squared(target_BN: Tensor) -> float:
    """Mean squared distance to each slot's mean: the variance."""
    return float(target_BN.double().var(0, correction=0).mean())


def pairwise(target_BN: Tensor, rounds: int = 50) -> float:
    """Mean distance to the geometric median (Weiszfeld 1937)."""
    target = target_BN.double()
    centre = target.mean(0)
    for _ in range(rounds):
        # the centre may fall on a target, where the weight is infinite
        weight = 1 / (target - centre).norm(dim=1).clamp(min=1e-9)
        centre = (target * weight[:, None]).sum(0) / weight.sum()
    return float((target - centre).norm(dim=1).mean())


def margin(target_BN: Tensor, margin: float = 1.0) -> float:
    """t d^2 + (1 - t)(m - d)^2 is least at d = (1 - t) m, where it is t (1 - t) m^2."""
    t_N = target_BN.double().mean(0)
    return float((t_N * (1 - t_N)).mean()) * margin**2


def set_chance(slots: int, chosen: int) -> float:
    """Probability to guess which `chosen` of `slots` are in."""
    return 1 / math.comb(slots, chosen)


def of_loss(kind: str, target_BN: Tensor, apart: float = 1.0) -> float:
    """The loss of this name; `apart`: that of `margin`."""
    if kind == "margin":
        return margin(target_BN, apart)
    named = {"bce": multi_label, "soft_label": soft_label, "l1": absolute, "l2": squared}
    return {**named, "pairwise": pairwise}[kind](target_BN)
