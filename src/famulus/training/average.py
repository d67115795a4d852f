"""Exponential moving average of the weights, validated and kept instead of the raw ones.

Source: Polyak & Juditsky 1992; with `decay` d a step: average = d * average + (1 - d) * weight.
"""

import copy

import torch
from torch import nn


class Average:
    """A copy of `model` that follows it; buffers are copied as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        # Judged and never trained: it needs no gradients and no statistics of its own.
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """One step towards `model`."""
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        # strict: a parameter that joined later would shift all pairs behind it
        averages, weights = zip(*pairs, strict=True)
        # One call for all tensors: a loop would launch a kernel for each of them.
        torch._foreach_lerp_(list(averages), list(weights), 1 - self.decay)
        # Running statistics are averages already, and counters can't be averaged.
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)
