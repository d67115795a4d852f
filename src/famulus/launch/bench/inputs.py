"""What a net is called with and what it answers, seen and replaced from outside.

The loss of a task calls its model; hooks on the model reach every task alike. A batch's own
tensors, and with them the targets, stay what they are.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

KINDS = ("true", "zeroed", "shuffled", "noise")


def _replaced(value: Any, kind: str, batch: int, generator: torch.Generator) -> Any:
    """One argument of the model; what has no axis of samples (a kernel) stays."""
    if not isinstance(value, Tensor) or value.ndim < 2 or len(value) != batch:
        return value
    if kind == "zeroed":
        return torch.zeros_like(value)
    if kind == "shuffled":  # by at least one place: no sample keeps its own
        order = torch.randperm(len(value), generator=generator)
        shifted = torch.empty_like(order)
        shifted[order] = order.roll(1)
        return value[shifted.to(value.device)]
    chosen = torch.randint(value.numel(), (value.numel(),), generator=generator)
    return value.flatten()[chosen.to(value.device)].view_as(value)


@contextlib.contextmanager
def corrupted(model: nn.Module, kind: str, seed: int) -> Iterator[None]:
    """The model is called with zeros, other samples' inputs, or numbers drawn from all of them.

    `kind`: see KINDS. Integers (codes) stay in their range. torch's streams are left alone.
    """
    if kind == "true":
        yield
        return

    def replace(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        generator = torch.Generator().manual_seed(seed)
        batch = next((len(a) for a in args if isinstance(a, Tensor) and a.ndim > 1), 0)
        changed = tuple(_replaced(a, kind, batch, generator) for a in args)
        named = {k: _replaced(v, kind, batch, generator) for k, v in kwargs.items()}
        return changed, named

    handle = model.register_forward_pre_hook(replace, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@dataclasses.dataclass
class Call:
    """What one loss called its model with, and what came out."""

    arguments: list[Tensor]
    answer: Any = None


@contextlib.contextmanager
def watched(model: nn.Module) -> Iterator[list[Call]]:
    """Every call of the model itself, in order."""
    calls: list[Call] = []

    def look(module: nn.Module, args: tuple, kwargs: dict, answer: Any) -> None:
        given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        calls.append(Call([v.detach().clone() for v in given], answer))

    handle = model.register_forward_hook(look, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def answers(answer: Any, samples: int) -> list[Tensor]:
    """The tensors of a model's answer that hold a number for each sample and have a gradient."""
    return [t for t in _tensors(answer) if len(t.shape) and t.requires_grad and len(t) == samples]


def _tensors(answer: Any) -> list[Tensor]:
    if isinstance(answer, Tensor):
        return [answer] if answer.is_floating_point() else []
    if dataclasses.is_dataclass(answer):
        answer = [getattr(answer, f.name) for f in dataclasses.fields(answer)]
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [t for part in answer for t in _tensors(part)]
    return []


def _with(answer: Any, new: dict[int, Tensor], samples: int, part: slice) -> Any:
    """The same structure with tensors replaced, by identity; of the others, their own `part`."""
    if isinstance(answer, Tensor):
        if id(answer) in new:
            return new[id(answer)]
        return answer.detach()[part] if answer.ndim and len(answer) == samples else answer.detach()
    if dataclasses.is_dataclass(answer):
        twin = copy.copy(answer)
        for field in dataclasses.fields(answer):
            object.__setattr__(
                twin, field.name, _with(getattr(answer, field.name), new, samples, part)
            )
        return twin
    if isinstance(answer, dict):
        return {k: _with(v, new, samples, part) for k, v in answer.items()}
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        return type(answer)(*(_with(v, new, samples, part) for v in answer))
    if isinstance(answer, list | tuple):
        return type(answer)(_with(v, new, samples, part) for v in answer)
    return answer


@contextlib.contextmanager
def answering(
    model: nn.Module, answer: Any, old: Sequence[Tensor], new: Sequence[Tensor], part: slice
) -> Iterator[None]:
    """The model, called with anything, answers `answer` with `old` tensors replaced by `new`.

    `new` holds the samples `part` of a batch; so does the rest of the answer.
    """
    replaced = {id(a): b for a, b in zip(old, new, strict=True)}
    made = _with(answer, replaced, len(old[0]), part)
    own = model.__dict__.get("forward")
    model.forward = lambda *args, **kwargs: made
    try:
        yield
    finally:
        if own is None:
            del model.forward
        else:
            model.forward = own
