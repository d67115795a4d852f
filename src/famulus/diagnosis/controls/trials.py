"""Short trainings that differ from a run in one thing each: which of them learns what it did not?

A limit on a rate, a gradient or an input accuses sound nets. Here a copy of the net starts again
from the run's first weights on batches that the run has seen, as configured and with one change;
a part of the batches is kept aside to judge. Only what at least halves the error that the run has
left, and that the same number of unchanged steps leaves, is named. Where no single change helps
but all together do, each is taken back in turn: those without which it fails are named.

`left` is 1 for the best constant, 0 for a perfect net (`ops.loss_forms.left_over`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from famulus.diagnosis.controls import Control
from famulus.ops.loss_forms import candidates, left_over

NAME = "trials"
LEARNED = 0.05  # left: nothing to look for
HELPS = 0.5  # of what the run has left
STEPS, FEWEST, MOST = 300, 30, 3000  # of a trial; below FEWEST it tells nothing; of a longer run
JUDGED = 4  # every fourth batch judges, if there are that many
RATES = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
ADAM = (0.001, 0.01, 0.1)
BENT = (nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign)
NEAR = 2.0  # times the best: as good
Batch = tuple[Any, Tensor]


@dataclass(frozen=True)
class Change:
    """What a trial does differently."""

    rate: float = 1.0
    adam: float | None = None
    scaled: bool = False  # input columns to mean 0 and sd 1
    redrawn: bool = False  # weights as torch's layers start
    relu: bool = False  # in the place of squashing activations inside the net
    batch: int | None = None


@dataclass
class Subject:
    """A run to be tried again. `call(model, inputs)` gives outputs."""

    model: nn.Module
    start: Mapping[str, Tensor]
    batches: list[Batch]
    loss: str
    factor: float
    optimizer: type[torch.optim.Optimizer]
    options: dict[str, Any]
    steps: int
    seen: list[float] = field(default_factory=list)  # logged losses of the run

    def __post_init__(self) -> None:
        judged = self.batches[JUDGED - 1 :: JUDGED]
        rest = [b for i, b in enumerate(self.batches) if i % JUDGED != JUDGED - 1]
        self.judged = judged or self.batches
        self.learned_from = rest if judged else self.batches


def call(model: nn.Module, inputs: Any) -> Tensor:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, list | tuple) else model(inputs)


def bare(model: nn.Module) -> nn.Module:
    """A copy without anybody's hooks."""
    found = copy.deepcopy(model)
    for module in found.modules():
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(module, name).clear()
    return found


@torch.no_grad()
def judge(subject: Subject, model: nn.Module, prepare: Callable[[Any], Any]) -> float:
    """What `model` has left on the batches kept aside."""
    model.eval()
    outputs = torch.cat([call(model, prepare(x)) for x, _ in subject.judged])
    targets = torch.cat([y for _, y in subject.judged])
    if not bool(torch.isfinite(outputs).all()):
        return math.inf
    found = left_over(outputs, targets, subject.loss)
    return found["left"] if found else math.nan


def scaling(batches: list[Batch]) -> Callable[[Any], Any] | None:
    """Inputs with each column (pictures: each channel) at mean 0 and sd 1; None if no such."""
    tensors = [x for x, _ in batches if isinstance(x, Tensor) and x.is_floating_point()]
    if len(tensors) != len(batches) or not tensors or tensors[0].dim() < 2:
        return None
    every = torch.cat(tensors)
    axes = [0, *range(2, every.dim())]
    mean, sd = every.mean(axes, keepdim=True), every.std(axes, keepdim=True)
    sd = sd.where(sd > 1e-8, torch.ones_like(sd))
    return lambda x: (x - mean) / sd


def with_relu(model: nn.Module) -> bool:
    """Replaces squashing activations but the last module; whether there were any."""
    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    found = False
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, BENT) and child is not leaves[-1]:
                setattr(parent, name, nn.ReLU())
                found = True
    return found


def redraw(model: nn.Module) -> None:
    for module in model.modules():
        if callable(getattr(module, "reset_parameters", None)):
            module.reset_parameters()


def cut(batches: list[Batch], size: int) -> list[Batch]:
    """The same samples in batches of `size`."""
    if not all(isinstance(x, Tensor) for x, _ in batches):
        return batches
    x, y = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
    return list(zip(x.split(size), y.split(size), strict=True))


def trial(
    subject: Subject, change: Change, steps: int, state: Mapping[str, Tensor] | None = None
) -> float:
    """`left` after `steps` steps with this change, from the run's start or from `state`."""
    model = bare(subject.model)
    model.load_state_dict(dict(state or subject.start))
    model.train()
    if change.redrawn:
        redraw(model)
    if change.relu:
        with_relu(model)
    prepare = (scaling(subject.batches) if change.scaled else None) or (lambda x: x)
    batches = subject.learned_from
    if change.batch:
        batches = cut(batches, change.batch)
    options = {**subject.options, "lr": subject.options["lr"] * change.rate}
    kind = subject.optimizer
    if change.adam is not None:
        kind, options = torch.optim.Adam, {"lr": change.adam}
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = kind(trained, **options)
    for n in range(steps):
        inputs, targets = batches[n % len(batches)]
        outputs = call(model, prepare(inputs))
        loss = candidates(outputs, targets)[subject.loss](outputs, targets) * subject.factor
        if not math.isfinite(float(loss.detach())):
            return math.inf
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return judge(subject, model, prepare)


FAMILIES: dict[str, tuple[str, Callable[[Change], Change]]] = {}


def trials(subject: Subject, budget_s: float) -> list[Control]:
    """What to name, and one control `trials` with all figures. The random state is put back."""
    devices = sorted({p.device.index or 0 for p in subject.model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        return _trials(subject, budget_s)
