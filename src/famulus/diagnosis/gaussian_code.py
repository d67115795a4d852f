"""A VAE's code, found in the autograd graph of its loss: mean + sigma * noise (Kingma & Welling
2014, arXiv 1312.6114), whoever wrote it.

To be read before `backward`, which frees the tensors that operations keep. Nothing is computed
before such a product is found. A compiled net is one opaque node: nothing is found there.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from famulus.diagnosis.graph import LEAF, NODES, SHAPES, name

FIGURES = ("kl", "sigma", "active", "code")
ACTIVE = 0.01  # variance of a unit's mean over samples, of one in use (Burda, arXiv 1509.00519)
STEPS = 4  # operations between the noise and the scale's last one: reshaping, a small constant
Edge = tuple[Any, int]  # a node, and which of its outputs


def figures(loss: Any) -> Tensor | None:
    """`FIGURES` of the first such code; None where there is none.

    kl: nats a sample to the standard normal; sigma: mean over units; active: units in use; code:
    how many there are. Float64, (4,), on the loss's device.
    """
    if not isinstance(loss, Tensor) or loss.grad_fn is None:
        return None
    users = _users(loss.grad_fn)
    nodes = {id(node): node for takers in users.values() for node in takers}
    for node in nodes.values():
        if name(node) == "Add" and (code := _code(node, users)) is not None:
            return _described(*code)
    return None


def _users(last: Any) -> dict[tuple[int, int], list[Any]]:
    """The operations that take each output of each other one, over the whole graph."""
    users: dict[tuple[int, int], list[Any]] = defaultdict(list)
    seen, queue = {id(last)}, [last]
    for node in queue:
        for other, output in node.next_functions:
            if other is None:
                continue
            users[id(other), output].append(node)
            if id(other) not in seen and len(seen) < NODES:
                seen.add(id(other))
                queue.append(other)
    # ids are of nodes that the graph keeps alive as long as the loss is held
    return users


def _code(add: Any, users: dict[tuple[int, int], list[Any]]) -> tuple[Tensor, Tensor] | None:
    """(mean, sigma), (B, ...) each, if this sum is one of a mean and scaled noise."""
    first, second = add.next_functions
    for scaled, mean in ((first, second), (second, first)):
        # a parameter is no code: a layer with noise on its weights
        if scaled[0] is None or mean[0] is None or name(mean[0]).endswith(LEAF):
            continue
        noise, sigma = _scaled_noise(scaled[0])
        # of one sample nobody can tell whether its code varies
        if noise is None or sigma is None or noise.dim() < 2 or len(noise) < 2:
            continue
        value = _kept_of(mean, users)
        if value is None:
            sample = _kept_of((add, 0), users)
            value = None if sample is None else _minus(sample, noise, sigma)
        if value is not None and value.numel() == sigma.numel():
            return value.reshape(sigma.shape), sigma
    return None


def _minus(sample: Tensor, noise: Tensor, sigma: Tensor) -> Tensor | None:
    same = sample.numel() == noise.numel() == sigma.numel()
    return (
        sample.detach().reshape(sigma.shape) - noise.reshape(sigma.shape) * sigma if same else None
    )


def _scaled_noise(product: Any) -> tuple[Tensor | None, Tensor | None]:
    """(noise, sigma) of a product of standard normal numbers and what a gradient is asked of."""
    taken = [other for other, _ in product.next_functions if other is not None]
    if name(product) != "Mul" or len(taken) != 1:
        return None, None
    noise = _saved(product, "other")
    noise = _saved(product, "self") if noise is None else noise
    if noise is None or not noise.is_floating_point() or noise.numel() < 2 or not _normal(noise):
        return None, None
    node = taken[0]
    for _ in range(STEPS):
        kind = name(node)
        if kind in ("Exp", "Sqrt"):
            return noise, _saved(node, "result")
        if kind == "Softplus":
            value = _saved(node, "self")
            return noise, None if value is None else F.softplus(value)
        ahead = [other for other, _ in node.next_functions if other is not None]
        if len(ahead) != 1 or kind not in {*SHAPES, "Add"}:
            break
        node = ahead[0]
    return None, None


def _normal(noise: Tensor) -> bool:
    """Standard normal numbers, as far as so many can tell: a mask or a weight is none."""
    mean, sd = float(noise.mean()), float(noise.std())
    doubt = 5 / noise.numel() ** 0.5
    return abs(mean) < doubt and abs(sd - 1) < doubt


def _kept_of(edge: Edge, users: dict[tuple[int, int], list[Any]]) -> Tensor | None:
    """The value of an output, as some operation keeps it that takes it as it is."""
    node, output = edge
    for user in users[id(node), output]:
        edges = [(id(other), at) for other, at in user.next_functions if other is not None]
        alone = set(edges) == {(id(node), output)}
        kinds: tuple[str, ...] = ("self",) if alone else ()
        if name(user) in ("Addmm", "Mm"):
            kinds = ("mat1", "self")
        elif "Convolution" in name(user):
            kinds = ("input",)
        elif name(user) in SHAPES and alone:
            value = _kept_of((user, 0), users)
            if value is not None:
                return value
            continue
        for kind in kinds:
            if (value := _saved(user, kind)) is not None:
                return value.detach()
    return None


def _saved(node: Any, kind: str) -> Tensor | None:
    """What an operation keeps for its gradient; None if it keeps no such thing, or no more."""
    try:
        value = getattr(node, f"_saved_{kind}", None)
    except RuntimeError:  # freed by a backward pass, or written into since
        return None
    return value.detach() if isinstance(value, Tensor) else None


@torch.no_grad()
def _described(mean: Tensor, sigma: Tensor) -> Tensor:
    mean, sigma = mean.double().flatten(1), sigma.double().flatten(1)
    kl = (mean.square() + sigma.square() - 1 - 2 * sigma.log()).sum(1).mean() / 2
    active = (mean.var(0) > ACTIVE).sum()
    units = torch.full_like(kl, mean.shape[1])
    return torch.stack([kl, sigma.mean(), active.to(kl), units])
