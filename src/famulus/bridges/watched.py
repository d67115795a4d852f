"""What a monitored loop is, in the terms of the store: its settings, its run, its batches."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from famulus.bridges.watch.models import Parts
from famulus.config.errors import ConfigError, StoreError
from famulus.diagnosis.remedy import OWN_LOOP
from famulus.store import layout
from famulus.store.run import Run
from famulus.store.secrets import hidden_path, masked
from famulus.store.store import Store

SLUG = "loop"
MODULES = 200  # that are listed


@dataclass(frozen=True)
class Named:
    """What a script calls a model or an optimizer, and where it is made: `train.py:37`."""

    variable: str = ""
    at: str = ""

    def facts(self) -> dict[str, str]:
        return {key: value for key, value in vars(self).items() if value}


def optimizers_of(given: Any) -> list[torch.optim.Optimizer]:
    """One or several optimizers as a list. Raises ConfigError for anything else."""
    found = list(given) if isinstance(given, list | tuple) else [given]
    wrong = [type(one).__name__ for one in found if not isinstance(one, torch.optim.Optimizer)]
    if wrong or not found:
        raise ConfigError(
            "Monitor: expected an optimizer of torch.optim or a list of them, received"
            f" {', '.join(wrong) or 'an empty list'}"
        )
    return found


def checked_model(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ConfigError(f"Monitor: expected a torch.nn.Module, received {type(model).__name__}")
    return model


def class_of(model: nn.Module) -> str:
    """Of the net itself: not of what compiled it; of several that are trained together, of each."""
    if "_orig_mod" in model._modules:  # not by getattr: a script's own may raise anything
        model = model._modules["_orig_mod"] or model
    return ", ".join(model.parts) if isinstance(model, Parts) else type(model).__name__


def options_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Name and plain options of an optimizer's first group: what run.yaml holds."""
    kinds = (int, float, bool, str, type(None))
    # numbers of numpy's are floats as well, and no YAML
    group: dict[str, Any] = {
        k: v.item() if getattr(v, "ndim", 1) == 0 else v
        for k, v in optimizer.param_groups[0].items()
    }
    plain = {k: v for k, v in group.items() if k != "params" and isinstance(v, kinds)}
    betas = {"betas": list(group["betas"])} if "betas" in group else {}
    kind = type(optimizer).__name__
    return {"name": kind.lower(), "class": kind, **plain, **betas}


def held_by(optimizer: torch.optim.Optimizer, model: nn.Module) -> list[str]:
    """Names of the modules that have a parameter of their own which this optimizer updates."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [
        name
        for name, module in model.named_modules()
        if any(id(p) in held for p in module.parameters(recurse=False))
    ]


def settings_of(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    settings: Mapping[str, Any],
    why: str,
    names: Mapping[int, Named] | None = None,
) -> dict[str, Any]:
    """run.yaml of a monitored loop; `settings` are its axes in tables, as a matrix would be.

    names: what the script calls model and optimizers, by `id`; remedies use them.
    """

    def named(thing: Any) -> dict[str, str]:
        return (names or {}).get(id(thing), Named()).facts()

    each = [{**options_of(o), **named(o)} for o in optimizers]
    chosen, more = each[0], {}
    if len(each) > 1:
        pairs = zip(each, optimizers, strict=True)
        each = [{**facts, "holds": held_by(o, model)[:MODULES]} for facts, o in pairs]
        more = {"optimizers": each}
    layers = [f"{name}: {type(m).__name__}" for name, m in model.named_modules() if name]
    return {
        "why": why,
        "task": OWN_LOOP,
        "matrix": dict(settings),
        "model": {"class": class_of(model), **named(model), "modules": layers[:MODULES]},
        "training": {"seed": int(torch.initial_seed()), "optimizer": chosen, **more},
    }


def new_run(store: Store, name: str, config: Mapping[str, Any]) -> Run:
    """A run of its own each time: what a loop of one's own computes, no hash can tell."""
    words = f"{config}{uuid.uuid4()}"
    run_id = hashlib.sha256(words.encode()).hexdigest()[:12]
    # a folder's name is read by more people than its files
    shown = {k: v for k, v in config["matrix"].items() if not hidden_path(masked({k: v}))}
    axes = [f"{k}={v}" for k, v in shown.items()]
    slug = "_".join(axes) or SLUG
    try:
        layout.part(slug, "settings")
    except StoreError:  # values that no file name holds
        slug = SLUG
    return store.create_run(name, slug, run_id, config)


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """Tensors in nested tuples, lists and dicts, in order."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors_of(value)
    elif isinstance(batch, list | tuple):
        for value in batch:
            yield from tensors_of(value)


def count_of(*batches: Any) -> int:
    """Examples in a batch: the first axis of the first tensor; 0 where nothing tells."""
    for batch in batches:
        # at every step: a tensor itself, the usual case, is asked without a generator
        for tensor in (batch,) if isinstance(batch, Tensor) else tensors_of(batch):
            if tensor.dim():
                return tensor.shape[0]
    return 0


def loss_parts(loss: Any) -> dict[str, Tensor | float]:
    """A loss as named parts with `total`. Raises ConfigError for what is no number."""
    parts = dict(loss) if isinstance(loss, Mapping) else {"total": loss}
    if "total" not in parts:
        parts["total"] = parts.get("loss", next(iter(parts.values()), None))
    for name, value in parts.items():
        scalar = isinstance(value, Tensor) and value.numel() == 1
        if not scalar and not isinstance(value, int | float):
            shape = (
                f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else value
            )
            raise ConfigError(
                f"Monitor.step: expected the loss {name!r} as one number, received {shape}; pass"
                " its mean"
            )
    return parts


def first_tensor(batch: Any) -> Tensor | None:
    return next(tensors_of(batch), None)


def plain(value: Any) -> float:
    """A number from a number or a tensor of one, with or without a graph."""
    return float(value.detach() if isinstance(value, Tensor) else value)
