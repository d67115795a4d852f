"""Where a training starts from: the weights of each layer beside a usual start, and whose they are.

Read once, before the first step. `size` is a layer's root mean square over sqrt(2 / fan_in), the
start of He et al. 2015 (https://arxiv.org/abs/1502.01852) for layers before a ReLU; torch's own
start, uniform within 1 / sqrt(fan_in), has .41.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from famulus.diagnosis.probes.layers import unwrapped
from famulus.diagnosis.probes.tensors import readable

MOST = 64  # layers
ALIKE = 1e-6  # of the largest weight, that the weights of a layer span at most
MANY = 16  # weights, fewer of which are alike, or small, by chance
FULL = (0.8, 1.2)  # times the root mean square of a uniform start: at the first, no trained layer


@torch.no_grad()
def weights_at_start(model: nn.Module) -> list[dict[str, Any]]:
    """Of each linear and convolution layer with weights of its own, in the order of the model:
    {"name", "type", "size", "alike": are all weights equal, "fresh": as torch has drawn them}."""
    layers = []
    for name, module in unwrapped(model)[0].named_modules():
        weight = getattr(module, "weight", None) if _weighs(module) else None
        if not isinstance(weight, Tensor) or not readable(weight):
            continue
        if weight.is_floating_point() and weight.numel() >= MANY:
            layers.append((name, module, weight.detach()))
    layers = layers[:MOST]
    figures = [_figures(weight) for _, _, weight in layers]
    rows = torch.stack(figures).tolist() if figures else []  # the one wait
    return [
        {"name": name, "type": type(module).__name__, **_judged(weight[0].numel(), *row)}
        for (name, module, weight), row in zip(layers, rows, strict=True)
    ]


def strangers(model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, int]:
    """How many tensors the optimizers hold, and how many of these are the model's."""
    own = {id(p) for p in model.parameters()}
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    return {"tensors": len(held), "own": sum(p in own for p in held)}


def _weighs(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | _ConvNd)


def _figures(weight: Tensor) -> Tensor:
    """(least, largest, root mean square) in float64 on the CPU."""
    low, high = torch.aminmax(weight)
    size = weight.float().square().mean().sqrt()
    return torch.stack([low.float(), high.float(), size]).double().cpu()


def _judged(fan: int, low: float, high: float, size: float) -> dict[str, Any]:
    # fan: numbers in a row; of a transposed convolution torch's own start counts them so as well
    largest = max(abs(low), abs(high))
    bound = 1 / math.sqrt(fan)
    share = size * math.sqrt(3) / bound
    return {
        "size": float(f"{size / math.sqrt(2 / fan):.4g}") if math.isfinite(size) else None,
        "alike": high - low <= ALIKE * largest,
        # training leaves the bound soon, and pretrained weights lie beyond it
        "fresh": largest <= bound * (1 + ALIKE) and FULL[0] < share < FULL[1],
    }
