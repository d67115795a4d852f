"""A VAE's code, found where a layer takes it: mean + sigma * noise (Kingma & Welling 2014, arXiv
1312.6114), whoever wrote it.

Read during the forward pass: `backward` frees the tensors that operations keep. Nothing is computed
before such a product is found, and nothing waits for the device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from famulus.diagnosis.graph import LEAF, SHAPES, inputs, name

FIGURES = ("kl", "sigma", "active", "code")
ACTIVE = 0.01  # variance of a unit's mean over samples, of one in use (Burda, arXiv 1509.00519)
STEPS = 4  # operations between the noise and the scale's last one: reshaping, a small constant
DOUBT = 5.0  # standard errors within which noise is standard normal: a mask or a weight is none


def of_input(value: Tensor) -> tuple[Tensor, Tensor] | None:
    """(`FIGURES`, doubt) of the code that `value`, (B, ...), is, perhaps beside labels.

    kl: nats a sample to the standard normal; sigma: mean over units; active: units in use; code:
    how many there are: (4,), float64. doubt, (1,): above 1 the noise is none, and so the code. None
    where there is no such sum.
    """
    found = _sum(value)
    if found is None:
        return None
    add, sample = found
    first, second = inputs(add) if len(inputs(add)) == 2 else (None, None)
    for scaled, mean in ((first, second), (second, first)):
        # a parameter is no code: a layer with noise on its weights
        if scaled is None or mean is None or name(mean).endswith(LEAF):
            continue
        noise, sigma = _scaled_noise(scaled)
        # of one sample nobody can tell whether its code varies
        if noise is None or sigma is None or noise.dim() < 2 or len(noise) < 2:
            continue
        if sample.numel() == noise.numel() == sigma.numel():
            means = sample.detach().reshape(sigma.shape) - noise.reshape(sigma.shape) * sigma
            return described(means, sigma), _doubt(noise)
    return None


def _sum(value: Tensor) -> tuple[Any, Tensor] | None:
    """The addition that gave a value, or the first part of it where parts were joined; and it."""
    node = value.grad_fn
    while node is not None and name(node) in SHAPES:
        ahead = [other for other, _ in node.next_functions]
        if name(node) == "Cat":
            widths = [getattr(other, "_input_metadata", None) for other in ahead]
            if value.dim() != 2 or not widths or not widths[0] or len(widths[0][0].shape) != 2:
                return None
            value = value[:, : widths[0][0].shape[1]]
        elif len(ahead) != 1:
            return None
        node = ahead[0]
    return None if node is None or name(node) != "Add" else (node, value)


def _scaled_noise(product: Any) -> tuple[Tensor | None, Tensor | None]:
    """(noise, sigma) of a product of numbers without a gradient and of what one is asked of."""
    taken = inputs(product)
    if name(product) != "Mul" or len(taken) != 1:
        return None, None
    noise = _saved(product, "other")
    noise = _saved(product, "self") if noise is None else noise
    if noise is None or not noise.is_floating_point() or noise.numel() < 2:
        return None, None
    node = taken[0]
    for _ in range(STEPS):
        kind = name(node)
        if kind in ("Exp", "Sqrt"):
            return noise, _saved(node, "result")
        if kind == "Softplus":
            value = _saved(node, "self")
            return noise, None if value is None else F.softplus(value)
        if len(inputs(node)) != 1 or kind not in {*SHAPES, "Add"}:
            break
        node = inputs(node)[0]
    return None, None


def _saved(node: Any, kind: str) -> Tensor | None:
    """What an operation keeps for its gradient; None if it keeps no such thing, or no more."""
    try:
        value = getattr(node, f"_saved_{kind}", None)
    except RuntimeError:  # freed by a backward pass, or written into since
        return None
    return value.detach() if isinstance(value, Tensor) else None


@torch.no_grad()
def _doubt(noise: Tensor) -> Tensor:
    """How far its mean and deviation are from 0 and 1, in `DOUBT` of so many numbers."""
    numbers = noise.double()
    far = torch.maximum(numbers.mean().abs(), (numbers.std() - 1).abs())
    return (far * noise.numel() ** 0.5 / DOUBT).reshape(1)


@torch.no_grad()
def described(mean: Tensor, sigma: Tensor) -> Tensor:
    """`FIGURES` of codes with this mean and standard deviation, (B, ...) each."""
    mean, sigma = mean.double().flatten(1), sigma.double().flatten(1)
    kl = (mean.square() + sigma.square() - 1 - 2 * sigma.log()).sum(1).mean() / 2
    active = (mean.var(0) > ACTIVE).sum()
    units = torch.full_like(kl, mean.shape[1])
    return torch.stack([kl, sigma.mean(), active.to(kl), units])
