"""What a monitor looks at besides the loss: layers at sampled steps, and what batches say.

At a sampled step: a probe of all layers, which loss it is, what outputs and targets look like and
how much is still to be learned. Once: what net and loss are made of.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from famulus.bridges.batch import Batch, inside
from famulus.bridges.watched import first_tensor, plain, tensors_of
from famulus.diagnosis.controls.trial import Subject, quiet
from famulus.diagnosis.graph import read_graph
from famulus.diagnosis.loss_forms import (
    EXACT,
    constant_loss,
    entropy,
    left_over,
    matching,
    output_kind,
    target_kind,
)
from famulus.diagnosis.probes.codebook import tables
from famulus.diagnosis.probes.outputs import Guard
from famulus.diagnosis.probes.passes import Passes
from famulus.diagnosis.probes.probe import Probe

KEPT_SAMPLES, KEPT_BATCHES, KEPT_BYTES = 4096, 64, 64_000_000
DESCRIBED = ("inputs", "targets", "outputs")  # tensors of a batch
MOST_CLASSES = 100  # in a batch, that are counted
LARGEST_NET = 20_000_000  # numbers; of a larger one no second copy is held


class Sampled:
    """`begin` before each step, `see` after a sampled one, `events` once a log has waited."""

    def __init__(
        self,
        model: nn.Module,
        optimizers: list[torch.optim.Optimizer],
        guard: Guard,
        keep: bool = False,
    ) -> None:
        self._model, self._optimizers = model, optimizers
        self._guard = guard
        self._probe = Probe(model, optimizers, guard=guard)
        self._passes: Passes | None = None  # of the step that is sampled
        self._seen: Batch | None = None
        self._graph: dict[str, Any] | None = None
        self._link = ""  # what a loss of one's own does first to the outputs
        self._own_loss: OwnLoss | None = None
        small = sum(p.numel() for p in model.parameters()) <= LARGEST_NET
        # a trial has one optimizer
        self._keeps = keep and small and len(optimizers) == 1
        state = model.state_dict() if self._keeps else {}
        self._start = {k: v.detach().clone() for k, v in state.items() if isinstance(v, Tensor)}
        self._options = plain_options(optimizers[0])
        self._batches: list[tuple[Any, Tensor]] = []
        self._targets: list[Tensor] = []  # also of a net that can't be called again
        self._losses: set[tuple[str | None, float | None]] = set()  # that were recognised
        self._room = [KEPT_SAMPLES, KEPT_BYTES]
        # Which of the net's answers the loss takes, and in what shape; None: as the net gives it.
        self.answer: tuple[int, tuple[int, ...]] | None = None

    def begin(self, step: int, inputs: int) -> bool:
        """Before the step of this number: whether it is sampled."""
        sampled = self._probe.begin(step, inputs)
        self._forget_passes()
        if sampled:
            self._passes = Passes(self._model, self._optimizers, self._guard)
        return sampled

    def before_update(self, optimizer: torch.optim.Optimizer | None) -> None:
        self._probe.before_update(optimizer)

    def keep(self, batch: Batch) -> None:
        """A copy of the batch for the controls, while there is room."""
        if not self.keeps_more:
            return
        inputs, outputs, targets = batch.inputs, batch.outputs, batch.targets
        if not isinstance(targets, Tensor) or not isinstance(outputs, Tensor):
            return
        tensors = [*tensors_of(inputs), targets]
        size = sum(t.numel() * t.element_size() for t in tensors)
        if size > self._room[1] or not targets.dim():
            return
        # bounded: a monitor must never be why a loop runs out of memory
        self._room = [self._room[0] - len(targets), self._room[1] - size]
        self._columns = outputs.shape[1] if outputs.dim() > 1 else 1
        # Copies: a loop may reuse its buffers for the next batch.
        self._targets.append(copied(targets))
        if len(tensors) > 1:
            self._batches.append((copied(inputs), self._targets[-1]))

    @property
    def keeps_more(self) -> bool:
        """Is there room for batches?"""
        return self._keeps and len(self._targets) < KEPT_BATCHES and self._room[0] > 0

    def adopt(self, probe: Probe, guard: Guard) -> None:
        """Goes on with a probe that has begun already."""
        self._probe, probe.guard = probe, guard
        self._forget_passes()  # it began before the passes were looked at

    def replaced(self, before: Any, after: Any) -> None:
        """Another optimizer has the weights of `before`."""
        for held in (self._optimizers, self._probe.optimizers):
            held[:] = [after if one is before else one for one in held]

    def floor(self) -> float | None:
        """What the best constant scores on the batches kept, in the terms of the loss."""
        if (loss := self._recognised()) is None:
            return None
        name, factor = loss
        least = constant_loss(name, torch.cat(self._targets), self._columns)
        return None if least is None else least * factor

    def subject(self, steps: int) -> Subject | None:
        """The run for short trials; None unless its loss is a standard one at every sample, or its
        function was handed over."""
        loss = self._recognised()
        own = self._own_loss if loss is None else None
        loss = loss or ("", 1.0)
        if not self._batches or not (loss[0] or own):
            return None
        return Subject(
            self._model,
            self._start,
            self._batches,
            *loss,
            type(self._optimizers[0]),
            self._options,
            steps,
            taken=self.answer,
            trained=self._held(),
            loss_fn=None if own is None else own.function(),
            link=self._link,
            whole=own is None or own.is_whole(),
        )

    def _held(self) -> list[str]:
        """Names of the parameters that are trained."""
        optimizer = self._optimizers[0]
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        return [name for name, p in self._model.named_parameters() if id(p) in held]

    def _recognised(self) -> tuple[str, float] | None:
        """(name, factor) of a standard loss, if every sample was found to be of that one."""
        if not self._targets or len(self._losses) != 1:
            return None
        ((name, factor),) = self._losses
        return None if name is None or factor is None else (name, factor)

    def see(self, batch: Batch) -> None:
        """After a sampled step, before the log: nothing here waits for the device."""
        named = {name: first_tensor(getattr(batch, name)) for name in DESCRIBED}
        self._probe.batch({k: v for k, v in named.items() if v is not None})
        self._seen = batch
        if self._graph is None:
            self._graph = read_graph(batch.loss, batch.outputs)
            self._link = str(self._graph.get("link") or "")

    def graph(self) -> dict[str, Any]:
        """What net and loss are made of, the first time; {} afterwards."""
        graph, self._graph = self._graph or {}, {}
        return graph

    def events(self) -> list[dict[str, Any]]:
        """Probes since the last call, the newest with `forms`; waits for the device."""
        events = self._probe.take()
        if self._passes and events:
            events[-1]["loop"] = self._passes.facts()
        self._forget_passes()
        if self._seen and events:
            if self._keeps and self._seen.loss_fn is not None:
                kept = copied([self._seen.outputs, self._seen.targets])
                self._own_loss = OwnLoss(self._seen.loss_fn, plain(self._seen.loss), *kept)
            likely = next((name for name, _ in self._losses), None)
            events[-1] |= inside(self._seen, [len(table) for table in tables(self._model)])
            events[-1]["forms"] = seen = forms(self._seen, likely, self._link)
            if self.answer is None and (shape := seen.get("output_shape")):
                self.answer = 0, tuple(shape[1:])  # a trial must squeeze as the script does
            if "loss" in seen and seen["finite"]:
                self._losses.add((seen["loss"], seen["factor"]))
        self._seen = None
        return events

    def release(self) -> None:
        """Lets go of model and optimizers; nothing can be asked any more."""
        self.close()
        self._model, self._optimizers, self._probe = nn.Module(), [], Probe(nn.Module())

    def _forget_passes(self) -> None:
        if self._passes:
            self._passes.remove()
        self._passes = None

    def close(self) -> None:
        self._probe.close()
        self._forget_passes()
        self._seen = None
        self._batches, self._targets, self._start = [], [], {}
        self._own_loss = None


@dataclass(frozen=True)
class OwnLoss:
    """A script's function, and what it was of at the last sampled step.

    It is the script's own, and may count its calls or draw numbers: nobody calls it before the
    training is over.
    """

    loss_fn: Callable[[Any, Any], Any]
    value: float
    outputs: Any
    targets: Any

    def function(self) -> Callable[[Any, Any], Any]:
        """A module as a copy, whose statistics trials may change."""
        own = isinstance(self.loss_fn, nn.Module)
        return copy.deepcopy(self.loss_fn) if own else self.loss_fn

    @torch.no_grad()
    def is_whole(self) -> bool:
        """Does it give the loss that was logged, and not a term of it?"""
        try:
            with quiet(nn.Module()):
                again = plain(self.function()(self.outputs, self.targets))
        except Exception:  # it takes something else than it was said to take
            return False
        return math.isclose(again, self.value, rel_tol=EXACT, abs_tol=1e-12)


def forms(batch: Batch, likely: str | None = None, link: str = "") -> dict[str, Any]:
    """What one batch says of the loss and of how much is learned; {} without tensors to look at.

    loss: name of the standard loss that gives this very value, factor over its mean; part: of a
    loss of several terms, the one of them that is a standard loss; outputs, targets: their kinds
    and shapes; ones: least and most ones in a row of yes-or-no targets; counts: see `class_counts`;
    accuracy, most (share of the most frequent class), left, agreement: see
    `diagnosis.loss_forms.left_over`. link: what the loss does first to the outputs.
    """
    outputs, targets = batch.outputs, batch.targets
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or not targets.numel():
        return {}
    if batch.loss is None:  # a watched loss that was propagated before anybody looked
        return {}
    outputs, targets = outputs.detach(), targets.detach()
    if outputs.is_complex() or targets.is_complex() or not bool(torch.isfinite(outputs).all()):
        return {}
    kind, classes = target_kind(targets)
    found: dict[str, Any] = {"targets": kind, "classes": classes, "outputs": output_kind(outputs)}
    found["target_shape"] = list(targets.shape)
    if kind == "binary" and targets.dim() == 2 and targets.shape[1] > 1:
        found["ones"] = [int(end) for end in torch.aminmax(targets.sum(1))]
    if counts := class_counts(targets, kind):
        found["counts"] = counts
    value = plain(batch.loss)
    same, outputs = taken_as(value, outputs, targets, likely)
    found["finite"] = math.isfinite(value)
    found["loss"], found["factor"] = same if same else (None, None)
    for term in batch.parts.values() if same is None else ():
        part, outputs = taken_as(plain(term), outputs, targets)
        if part:
            found["part"] = part[0]
            break
    found["output_shape"] = list(outputs.shape)
    known = found["loss"] or found.get("part")
    if kind == "real" and str(known).startswith("bce"):
        found["entropy"] = round(entropy(targets), 4)
    remaining = left_over(outputs, targets, known, link) or {}
    return found | {k: round(v, 4) for k, v in remaining.items()}


def taken_as(
    loss: float, outputs: Tensor, targets: Tensor, likely: str | None = None
) -> tuple[tuple[str, float] | None, Tensor]:
    """(`matching`, outputs in the shape in which it is of them): a loss may have squeezed them."""
    same = matching(loss, outputs, targets, likely)
    if same is None and outputs.shape != targets.shape and outputs.numel() == targets.numel():
        squeezed = outputs.reshape(targets.shape)
        if same := matching(loss, squeezed, targets, likely):
            return same, squeezed
    return same, outputs


def class_counts(targets: Tensor, kind: str) -> dict[str, int]:
    """How many samples of a batch each class has, by its id; {} where a sample has no single one,
    or classes are very many."""
    if kind == "real" or targets.is_complex():
        return {}
    ids = targets.argmax(1) if kind == "one-hot" else targets
    if ids.numel() != len(targets):
        return {}
    classes, counts = ids.flatten().long().unique(return_counts=True)
    if len(classes) > MOST_CLASSES:
        return {}
    return {str(c): n for c, n in zip(classes.tolist(), counts.tolist(), strict=True)}


def plain_options(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What to make another optimizer of its kind with."""
    group = optimizer.param_groups[0]
    known = inspect.signature(type(optimizer)).parameters
    kept = {k: v for k, v in group.items() if k in known and k != "params"}
    return {k: v.item() if isinstance(v, Tensor) else v for k, v in kept.items()}


def copied(batch: Any) -> Any:
    """The same nesting with tensors of its own, which a training can take.

    What is copied within `inference_mode`, as a loop's validation begins, no gradient passes.
    """
    if isinstance(batch, Tensor):
        with torch.inference_mode(False):
            return batch.detach().clone()
    if isinstance(batch, dict):
        return {k: copied(v) for k, v in batch.items()}
    if isinstance(batch, list | tuple):
        return [copied(v) for v in batch]
    return batch
