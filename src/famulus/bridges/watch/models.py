"""Whose weights an optimizer holds: the model that is trained, found without being told."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence

import torch
from torch import nn


def weights_of(optimizer: torch.optim.Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def has_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Has any loss been propagated to its weights?"""
    return any(p.grad is not None for group in optimizer.param_groups for p in group["params"])


def fingerprint(optimizer: torch.optim.Optimizer) -> list[tuple]:
    """Differs once weights have changed, by whomever; waits for the device."""
    every = [p for group in optimizer.param_groups for p in group["params"]]
    # a version does not tell of changes by way of `.data`
    return [(p._version, p.detach().abs().double().sum().item()) for p in every if p.numel()]


def weights_in(module: nn.Module) -> set[int]:
    # torch's own: a script's class may have a `parameters` that takes or gives something else
    return {id(p) for p in nn.Module.parameters(module)}


class Parts(nn.Module):
    """Several models that are trained together, under the names that their author gives them.

    It is never called; it only holds them for those who walk over layers.
    """

    def __init__(self, models: dict[str, nn.Module]) -> None:
        super().__init__()
        self.parts = list(models)
        for name, model in models.items():
            self.add_module(name.replace(".", "_"), model)


def called_holders(weights: set[int], called: Sequence[nn.Module]) -> list[nn.Module]:
    """Of the modules that a script called, those that hold any of these weights."""
    return [m for m in called if weights & weights_in(m)]


def model_of(weights: set[int], called: Sequence[nn.Module]) -> nn.Module:
    """The model with these weights; `called`: modules that the script called itself.

    Usually it is one of them. A script that calls parts of its model (`model.encode(x)`) never
    calls the whole: then it is the smallest module that holds all. Where nothing that was called
    has any of the weights, the optimizer holds the wrong ones: the model is what was called.
    """
    holders = called_holders(weights, called)
    if not holders:
        trained = [m for m in called if any(p.requires_grad for p in nn.Module.parameters(m))]
        return joined(trained) if trained else smallest(weights) or joined([])
    if len(holders) == 1 and (weights <= weights_in(holders[0]) or any(holders[0].children())):
        return holders[0]
    needed = weights & set[int]().union(*map(weights_in, holders))
    return smallest(needed) or joined(holders)


def smallest(needed: set[int]) -> nn.Module | None:
    """Of all modules that there are, the outermost of those that hold `needed` and least beside."""
    modules = [o for o in gc.get_objects() if issubclass(type(o), nn.Module)]
    fitting = []
    for module in modules:
        if type(module) is Parts or "_modules" not in vars(module):  # not made by us; made whole
            continue
        held = weights_in(module)
        if needed and needed <= held:
            fitting.append((len(held), -sum(1 for _ in module.modules()), module))
    return min(fitting, key=lambda f: f[:2])[2] if fitting else None


def joined(modules: Iterable[nn.Module], names: Iterable[str | None] = ()) -> nn.Module:
    """The one module that is or holds all, or all under their names; equal names are numbered."""
    given = dict(zip(map(id, modules := list(modules)), names, strict=False))
    inside = {id(part) for m in modules for part in m.modules() if part is not m}
    distinct = list({id(m): m for m in modules if id(m) not in inside}.values())
    if len(distinct) == 1:
        return distinct[0]
    found: dict[str, nn.Module] = {}
    for module in distinct:
        name = given.get(id(module)) or type(module).__name__
        same = [name, *(f"{name}{n}" for n in range(2, len(distinct) + 2))]
        found[next(free for free in same if free not in found)] = module
    return Parts(found)
