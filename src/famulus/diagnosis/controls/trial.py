"""One short training from a run's first weights, with a change, and how well its net answers.

`left` is 1 for the best constant, 0 for a perfect net (`diagnosis.loss_forms.left_over`).
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from famulus.diagnosis.controls.free_output import slopes
from famulus.diagnosis.loss_forms import candidates, decided, left_over, target_kind
from famulus.diagnosis.probes.outputs import tensors

JUDGED = 4  # every fourth batch judges, if there are that many
NOISE = 3.0  # standard errors of the difference of two nets on the same answers
BENT = (nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign)
Batch = tuple[Any, Tensor]


@dataclass(frozen=True)
class Change:
    """What a trial does differently."""

    rate: float | None = None  # of learning, in the place of the run's
    adam: float | None = None  # that optimizer, at this rate
    scaled: bool = False  # input columns to mean 0 and sd 1
    redrawn: bool = False  # weights as torch's layers start
    relu: bool = False  # in the place of squashing activations inside the net
    batch: int | None = None


class OutOfTimeError(Exception):
    """The clock has ended trials of which not all are done."""


@dataclass
class Budget:
    """Steps that all trials may take together, and the seconds that they must not exceed.

    What is tried follows from the steps alone. The clock can only end it, by OutOfTimeError.
    """

    steps: int
    seconds: float = math.inf
    spent: int = 0  # steps
    took: float = 0.0  # seconds since the first of them

    def __post_init__(self) -> None:
        self._began: float | None = None

    def step(self) -> None:
        """Counts one."""
        self._began = time.perf_counter() if self._began is None else self._began
        self.spent += 1
        self.took = time.perf_counter() - self._began
        if self.took > self.seconds:
            raise OutOfTimeError

    def expected(self, steps: int) -> float:
        """Seconds of so many, as those so far went."""
        return steps * self.took / max(1, self.spent)


@dataclass
class Subject:
    """A run to be tried again."""

    model: nn.Module
    start: Mapping[str, Tensor]
    batches: list[Batch]
    loss: str
    factor: float
    optimizer: type[torch.optim.Optimizer]
    options: dict[str, Any]
    steps: int
    ended_early: bool = False  # stopped on purpose: its length is no fault of it
    learned: bool = False  # more than a little of a baseline's error is gone
    kept: float = 1.0  # share that a schedule left of the highest rate, summed over the steps
    # Which of the net's answers the loss takes, and its shape there; None: as the net gives it.
    taken: tuple[int, tuple[int, ...]] | None = None
    trained: list[str] | None = None  # names of parameters; None: all
    loss_fn: Callable[[Any, Any], Tensor] | None = None  # of the script, where `loss` is not known
    link: str = ""  # what it makes of the outputs first: `loss_forms.LINKS`
    whole: bool = True  # is it all of the loss? Else nothing can be trained with it

    def __post_init__(self) -> None:
        judged = self.batches[JUDGED - 1 :: JUDGED]
        rest = [b for i, b in enumerate(self.batches) if i % JUDGED != JUDGED - 1]
        # with fewer than four batches what is learned judges: better than no trial
        self.judged = judged or self.batches
        self.learned_from = rest if judged else self.batches

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss, as the run had it."""
        if self.loss_fn is not None:
            return self.loss_fn(outputs, targets)
        return candidates(outputs, targets)[self.loss](outputs, targets) * self.factor

    def answer(self, model: nn.Module, inputs: Any) -> Tensor:
        """Outputs as the loss takes them."""
        outputs = call(model, inputs)
        if self.taken is None:
            return outputs
        place, shape = self.taken
        return list(tensors(outputs))[place].reshape(-1, *shape)


def call(model: nn.Module, inputs: Any) -> Tensor:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, list | tuple) else model(inputs)


@contextlib.contextmanager
def quiet(model: nn.Module) -> Iterator[None]:
    """Random states are put back at the end, also python's and numpy's, which a net may draw from.

    Within it torch draws the same numbers each time: one verdict for one run.
    """
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    pythons, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)
            yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)


def bare(model: nn.Module) -> nn.Module:
    """A copy without anybody's hooks."""
    twin = copy.deepcopy(model)
    # A copy takes the hooks along, and a monitor's would record these steps as the run's.
    for module in twin.modules():
        for kind in ("forward", "forward_pre", "backward", "backward_pre"):
            getattr(module, f"_{kind}_hooks").clear()
    return twin


@dataclass(frozen=True)
class Judged:
    """How a net answers the batches kept aside: `left`, and the error of each answer."""

    left: float
    errors: Tensor

    def clearly_better(self, other: Judged) -> bool:
        """Whether the mean difference of the errors, answer by answer, is more than noise."""
        if not math.isfinite(other.left):
            return math.isfinite(self.left)
        apart = other.errors - self.errors
        # of differences, answer by answer: what makes an answer hard is the same for both nets
        noise = float(apart.std(correction=0)) / math.sqrt(len(apart))
        return float(apart.mean()) > NOISE * noise


@torch.no_grad()
def judge(subject: Subject, model: nn.Module, prepare: Callable[[Any], Any]) -> Judged:
    """Of the batches kept aside, in eval mode; `left` is infinite where an answer is."""
    model.eval()
    outputs = torch.cat([subject.answer(model, prepare(x)) for x, _ in subject.judged])
    targets = torch.cat([y for _, y in subject.judged])
    if not bool(torch.isfinite(outputs).all()):
        return Judged(math.inf, torch.empty(0))
    found = left_over(outputs, targets, subject.loss, subject.link)
    if target_kind(targets)[0] == "real":
        apart = outputs.double().flatten() - targets.double().flatten().to(outputs.device)
        return Judged(found["left"] if found else math.nan, apart.square())
    if found is None:
        return Judged(math.nan, torch.empty(0))
    predicted, true = decided(outputs, targets, subject.loss, subject.link)
    return Judged(found["left"], (predicted != true).double())


def scaling(batches: list[Batch]) -> Callable[[Any], Any] | None:
    """Inputs with each column (pictures: each channel) at mean 0 and sd 1; None if no such."""
    tensors = [x for x, _ in batches if isinstance(x, Tensor) and x.is_floating_point()]
    if len(tensors) != len(batches) or not tensors or tensors[0].dim() < 2:
        return None
    every = torch.cat(tensors)
    axes = [0, *range(2, every.dim())]
    mean, sd = every.mean(axes, keepdim=True), every.std(axes, keepdim=True)
    # a constant column stays as it is
    sd = sd.where(sd > 1e-8, torch.ones_like(sd))
    return lambda x: (x - mean) / sd


def with_relu(model: nn.Module) -> bool:
    """Replaces squashing activations but the last module; whether there were any."""
    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    replaced = False
    for parent in model.modules():
        for name, child in parent.named_children():
            # the last one may be what the loss expects
            if bent(child) and child is not leaves[-1]:
                setattr(parent, name, nn.ReLU())
                replaced = True
    return replaced


def bent(module: nn.Module) -> bool:
    """Does it squash its input? ReLU6 is a Hardtanh to torch, and a ReLU to whoever uses it."""
    return isinstance(module, BENT) and not isinstance(module, nn.ReLU6)


def redraw(model: nn.Module) -> None:
    for module in model.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()


def cut(batches: list[Batch], size: int) -> list[Batch]:
    """The same samples in batches of `size`."""
    if not all(isinstance(x, Tensor) for x, _ in batches):
        return batches
    x, y = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
    return list(zip(x.split(size), y.split(size), strict=True))


def trial(
    subject: Subject,
    change: Change,
    steps: int,
    budget: Budget,
    state: Mapping[str, Tensor] | None = None,
) -> Judged:
    """What comes of `steps` steps with this change, from the run's start or from `state`.

    Raises OutOfTimeError where `budget` says so.
    """
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
    rate = subject.options["lr"] if change.rate is None else change.rate
    kind, options = subject.optimizer, {**subject.options, "lr": rate}
    if change.adam is not None:
        kind, options = torch.optim.Adam, {"lr": change.adam}
    trained = [
        p
        for name, p in model.named_parameters()
        if p.requires_grad and (subject.trained is None or name in subject.trained)
    ]
    optimizer = kind(trained, **options)
    for n in range(steps):
        budget.step()
        inputs, targets = batches[n % len(batches)]
        outputs = subject.answer(model, prepare(inputs))
        loss = subject.criterion(outputs, targets)
        if not math.isfinite(float(loss.detach())):
            return Judged(math.inf, torch.empty(0))
        # no `backward`: a loss of the script's may have weights of its own, whose gradients are its
        for p, gradient in zip(trained, slopes(loss, trained), strict=True):
            p.grad = gradient
        optimizer.step()
    return judge(subject, model, prepare)


def _inputs(subject: Subject) -> Tensor | None:
    """Of all batches, (B, C, ...); None unless they are columns or channels of numbers."""
    tensors = [x for x, _ in subject.batches if isinstance(x, Tensor) and x.is_floating_point()]
    if len(tensors) != len(subject.batches) or not tensors or tensors[0].dim() < 2:
        return None
    return torch.cat(tensors).double()


def far_input(subject: Subject) -> bool:
    """Is the input, all in all, far from mean 0 and sd 1?"""
    if (every := _inputs(subject)) is None:
        return False
    return abs(float(every.mean())) > 3 or not 0.1 < float(every.std()) < 10


def unusual_input(subject: Subject) -> bool:
    """Far from mean 0 and sd 1, or columns of very different size: worth a trial."""
    if (every := _inputs(subject)) is None:
        return False
    columns = every.std([0, *range(2, every.dim())])
    columns = columns[columns > 1e-8]
    # Wide limits: they decide what is worth a trial, and the trial alone accuses.
    apart = len(columns) > 1 and float(columns.max() / columns.min()) > 100
    return apart or far_input(subject)


def unusual_start(subject: Subject) -> bool:
    """Weights all alike, or of another size than torch's layers start with."""
    other = bare(subject.model)
    redraw(other)
    for name, parameter in other.named_parameters():
        stored, drawn = subject.start.get(name), parameter.detach()
        if stored is None or drawn.dim() < 2:
            continue
        sizes = [float(w.double().square().mean().sqrt()) for w in (stored, drawn)]
        alike = float(stored.double().std(correction=0)) < 1e-6 * max(sizes[0], 1e-30)
        if alike or (sizes[1] > 0 and not 0.2 < sizes[0] / sizes[1] < 5):
            return True
    return False
