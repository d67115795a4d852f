"""One training: what is seen between two updates of the weights, made a step of a monitor."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from famulus.bridges import watched
from famulus.bridges.monitor import Monitor
from famulus.bridges.watch import places
from famulus.bridges.watch.criteria import Criterion
from famulus.bridges.watch.places import Place
from famulus.bridges.watch.validation import Validation
from famulus.bridges.watched import Named
from famulus.config.scores import Score
from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.loss_forms import matching
from famulus.diagnosis.probes.outputs import tensors
from famulus.diagnosis.probes.probe import Probe

SCORES = {"accuracy": Score(better="higher")}
FIGURES = ("mean", "std", "min", "max")
BATCHES = 4  # of a validation that are described


class Recorder(Monitor):
    """A monitor that is told of updates by a watch.

    It looks from the moment on that a training's forward pass begins: before that a validation may
    come between.
    """

    lineage: Mapping[str, Any] | None = None  # of the script, for all of its runs

    def start(self) -> Recorder:
        self._armed = False
        self._tensors = Tensors()
        self._chances: set[str] = set()
        self.rate: float | None = None  # of learning, at the last update
        super().start()
        for hook in self._hooks:
            hook.remove()
        return self

    @property
    def stopped(self) -> bool:
        """Has trouble of its own ended it?"""
        return bool(self._off)

    @property
    def looks(self) -> bool:
        """Are this step's tensors wanted?"""
        return self._armed and (self._is_sampled or self._sampled.keeps_more)

    def begin(self) -> None:
        """A training's forward pass is about to begin."""
        if not self._armed and self.steps:  # of the first one the forward pass is over already
            super()._arm()
        self._armed = True

    def adopt(self, probe: Probe) -> None:
        """The first step has been measured."""
        self._sampled.adopt(probe, self._guarded)
        self._armed = self._is_sampled = True

    def updated(self, optimizer: Any) -> None:
        self._after(optimizer, (), {})

    def record(
        self, parts: Mapping[str, Tensor], seen: Tensors, samples: int, waited: float | None
    ) -> None:
        """A step."""
        self._tensors = seen
        # A trial calls the model again: what the loss takes must be what the model gives.
        again = seen.inputs if seen.answer is not None else None
        if seen.answer is not None:
            self._sampled.answer = seen.answer
        self.step(parts, again, seen.outputs, seen.targets, wait=waited, samples=samples)
        self._tensors = Tensors()
        if self.steps == 1:  # where a training starts from is of interest by itself
            self._guarded(self._log)

    def validated(self, scores: Mapping[str, float], commonest: float | None) -> None:
        """`commonest`: the share of the commonest class, which a guess without input gets right."""
        if commonest is not None and "accuracy" not in self._chances:
            self._chances.add("accuracy")
            means = "chance, the commonest class"
            self._guarded(
                lambda: self._emit("floor", score="accuracy", value=commonest, means=means)
            )
        self.validate(scores)
        self._lapped = time.perf_counter()

    def pause(self) -> None:
        """A validation begins: its time is not training's."""
        self._guarded(self._log)

    def control(self, control: Control) -> None:
        self._guarded(lambda: self._emit("control", **control.json()))

    def note(self, **facts: Any) -> None:
        self._guarded(lambda: self._emit("facts", **facts))

    def replaced(self, before: Any, after: Any, name: Named) -> None:
        """The script made another optimizer for the same weights."""
        self.optimizers[self.optimizers.index(before)] = after
        self._sampled.replaced(before, after)
        made = f" at {name.at}" if name.at else ""
        self.mark(f"another optimizer of the same weights: {type(after).__name__}{made}")

    def look_away(self) -> None:
        """Takes its hooks off; layers are not looked at any more."""
        self._sampled.close()
        self._armed = False

    def release(self) -> None:
        """Lets go of the script's model: it may need the room."""
        self._armed = False
        self.model, self.optimizers = nn.Module(), []
        self._sampled.release()

    def _learning_rate(self) -> float:
        return super()._learning_rate() if self.rate is None else self.rate

    def _arm(self) -> None:
        self._armed = self._is_sampled = False

    def _complain(self, text: str) -> None:
        say(text)

    def _lineage(self) -> Mapping[str, Any]:
        return self.lineage or super()._lineage()

    def _look(self, parts: Mapping[str, Any], inputs: Any, outputs: Any, targets: Any) -> None:
        self._sampled.see(self._tensors.loss, self._tensors.inputs, outputs, targets)


def say(text: str) -> None:
    """One line for the person, beside what the script prints."""
    with contextlib.suppress(OSError, ValueError):  # a script may have closed it
        print(f"famulus: {' '.join(text.split())}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Call:
    """A script's call of its model. Tensors are kept only where they will be looked at."""

    training: Training | None  # None while it is not known
    trains: bool  # gradients are asked for, and the model is in training mode
    loader: int = 0  # number of the data that the batch came from; 0 for no DataLoader
    walk: int = 0  # number of the walk over them
    samples: int = 0
    waited: float = 0.0  # seconds
    arguments: tuple[tuple, dict] | None = None
    output: Any = None
    batch: Any = None
    criteria: list[Criterion] = field(default_factory=list)

    def validate(self, criterion: Criterion) -> None:
        """A loss that no gradient is asked of."""
        if self.training is not None:
            self.training.validate(self, criterion)


@dataclass(slots=True)
class Loss:
    """What `backward` was called of. `whole`: it is one criterion's value, and not a sum of some.

    summed: over the batch. parts: values of the criteria in a sum. graph, criterion: where tensors
    are wanted.
    """

    place: Place | None
    value: Tensor
    calls: list[Call]
    whole: bool = False
    summed: bool = False
    parts: dict[str, Tensor] = field(default_factory=dict)
    graph: Tensor | None = None
    criterion: Criterion | None = None

    @property
    def has_tensors(self) -> bool:
        return self.criterion is not None or any(call.arguments for call in self.calls)

    def drop_tensors(self) -> None:
        self.graph = self.criterion = None
        for call in self.calls:
            call.arguments = call.output = call.batch = None


@dataclass(slots=True)
class Tensors:
    """Of one step, as a monitor takes them."""

    inputs: Any = None
    outputs: Any = None
    targets: Any = None
    loss: Any = None
    # Among the tensors that the model gives, the one that the loss takes, and its shape there.
    answer: tuple[int, tuple[int, ...]] | None = None


class Training:
    """A model, its optimizers and their monitor.

    An update takes all losses since the one before. A step is an update of each optimizer that
    takes turns with the others: all, until one has made two in a row.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.validation = Validation()
        self.loader = 0  # number of the data that are trained on
        self.epochs = 0  # walks over it
        self._walk = 0
        self._updated: list[int] = []  # optimizers, since the last step
        self._turns = {id(one) for one in recorder.optimizers}  # whose updates make a step
        self._losses: list[Loss] = []
        self._names: dict[Place | None, str] = {}
        self._told_inputs = False
        self._validated_on: list[Tensor] = []  # figures of its first batches
        self._whole = False  # is the loss a criterion's value?
        self._summed = False  # over a batch
        self._batch = 0.0  # samples

    @property
    def looks(self) -> bool:
        return self.recorder.looks

    @property
    def title(self) -> str:
        """`Net with Adam`."""
        config = self.recorder.config
        training = config["training"]
        made = training.get("optimizers") or [training["optimizer"]]
        return f"{config['model']['class']} with {' and '.join(one['class'] for one in made)}"

    def summary(self) -> str:
        """One line: which run it is, and how long it was."""
        recorder = self.recorder
        epochs = f", {self.epochs} epochs" if self.epochs > 1 else ""
        size = f"{recorder.steps:,} steps, {recorder.inputs:,} samples{epochs}"
        return f"famulus: {recorder.run.experiment} {recorder.run.id}: {self.title}, {size}"

    def update(self, optimizer: Any, losses: list[Loss], rate: float | None) -> None:
        """After an update by these losses, at this learning rate."""
        if optimizer is self.recorder.optimizers[0]:
            self.recorder.rate = rate
        self.recorder.updated(optimizer)
        if id(optimizer) in self._updated:  # it did not wait for the others: they are not in use
            self._turns = set(self._updated)
            self.record()
        self._updated.append(id(optimizer))
        self._losses += losses
        if self._turns <= set(self._updated):
            self.record()

    def replaced(self, before: Any, after: Any, name: Named) -> None:
        """The script made another optimizer for the same weights."""
        self._turns = (self._turns - {id(before)}) | {id(after)}
        self.recorder.replaced(before, after, name)

    def without_update(self, loss: Loss) -> None:
        """A loss that nobody updates weights by: the monitor counts these."""
        self._losses.append(loss)
        self.record()

    def begins(self) -> None:
        """A training's forward pass is about to begin."""
        self.validated()
        self.recorder.begin()

    @property
    def wants_inputs(self) -> bool:
        """Of validation: its first batches are described."""
        return len(self._validated_on) < BATCHES

    def validate(self, call: Call, criterion: Criterion) -> None:
        if not self.validation:
            self.recorder.pause()
        if call.arguments is not None and self.wants_inputs:
            self._validated_on += [described(t) for t in tensors(list(call.arguments))][:1]
            call.arguments = None
        name = "loss" if self._whole else criterion.name
        self.validation.add(call.loader, name, criterion)

    def record(self) -> None:
        """What has been seen is a step."""
        losses, self._losses, self._updated = self._losses, [], []
        if not losses:
            return
        calls = [call for loss in losses for call in loss.calls]
        samples = _samples(losses)
        self._batch = max(self._batch, samples / len(losses))  # the last one may be smaller
        self._whole, self._summed = losses[-1].whole, losses[-1].summed
        waited = None
        for call in calls:
            if call.loader:
                self.loader, waited = call.loader, (waited or 0.0) + call.waited
                if call.walk != self._walk:
                    self._walk, self.epochs = call.walk, self.epochs + 1
                    self.recorder.note(epochs=self.epochs)
        seen = _tensors(losses) if self.looks else Tensors()
        self.recorder.record(self._parts(losses), seen, samples, waited)

    def validated(self) -> None:
        """Writes down the validation since the last step, if there was one."""
        if not self.validation:
            return
        validation, self.validation = self.validation, Validation()
        if self._validated_on and not self._told_inputs:
            self._told_inputs = True
            means = torch.stack(self._validated_on).mean(0).tolist()
            self.recorder.note(validation_inputs=dict(zip(FIGURES, means, strict=True)))
        batch = self._batch if self._summed else 1.0
        self.recorder.validated(*validation.scores(batch, self.loader))

    def close(self, error: BaseException | None = None) -> None:
        self.record()
        self.validated()
        self.recorder.close(error)

    def release(self) -> None:
        """Lets go of the script's model and data: it may need the room."""
        self.validation = Validation()
        self._losses = []
        self.recorder.release()

    # -- inside

    def _parts(self, losses: list[Loss]) -> dict[str, Tensor]:
        """Each loss by its name in the script, and their sum; of one that comes several times, as
        gradients are accumulated, the mean."""
        by_place: dict[Place | None, list[Loss]] = {}
        for loss in losses:
            by_place.setdefault(loss.place, []).append(loss)
        if len(by_place) == 1:
            names = losses[0].parts
            parts = {name: _mean([one.parts[name] for one in losses if name in one.parts])
                     for name in names}  # fmt: skip
            return {**parts, "total": _mean([one.value for one in losses])}
        means = {
            self._name(at): _mean([one.value for one in some]) for at, some in by_place.items()
        }
        device = losses[0].value.device
        return {
            **means,
            "total": torch.stack([m.reshape(()).to(device) for m in means.values()]).sum(),
        }

    def _name(self, place: Place | None) -> str:
        if place not in self._names:
            name, taken = places.loss_named(place) or "loss", {*self._names.values(), "total"}
            free = (f"{name}{n}" if n > 1 else name for n in range(1, len(taken) + 2))
            self._names[place] = next(one for one in free if one not in taken)
        return self._names[place]


def described(values: Tensor) -> Tensor:
    """The figures of a batch, on its device."""
    values = values.detach().float()
    return torch.stack([values.mean(), values.std(correction=0), values.min(), values.max()])


def _samples(losses: list[Loss]) -> int:
    """In a step: accumulated batches add up; several losses are of the same ones."""
    if len(losses) == 1 and len(losses[0].calls) == 1:  # as mostly: nothing to sort out
        return losses[0].calls[0].samples
    counts = Counter[Place | None]()
    for loss in losses:
        counts[loss.place] += sum(call.samples for call in loss.calls)
    fetched = sum(c.samples for loss in losses for c in loss.calls if c.loader)
    return fetched or max(counts.values(), default=0)


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack([v.reshape(()) for v in values]).mean()


def _tensors(losses: list[Loss]) -> Tensors:
    """Of the last loss that anything is known of."""
    known = [loss for loss in losses if loss.has_tensors]
    if not known:
        return Tensors(loss=losses[-1].graph)
    loss = known[-1]
    call = next((c for c in loss.calls if c.arguments), None)
    inputs = _as_called(call.arguments) if call and call.arguments else None
    given = list(tensors(call.output)) if call else []
    if loss.criterion is not None:
        outputs, targets = loss.criterion.outputs, loss.criterion.targets
    else:
        outputs = next(iter(given), None)
        targets = _wanted(loss.value, outputs, call) if call else None
    place = next((n for n, one in enumerate(given) if _same(outputs, one)), None)
    answer = None
    if place is not None and len(loss.calls) == 1:
        answer = place, tuple(outputs.shape[1:])
    return Tensors(inputs, outputs, targets, loss.graph, answer)


def _same(outputs: Any, given: Any) -> bool:
    """Are these the model's numbers, in another shape at most?"""
    if not isinstance(outputs, Tensor) or not isinstance(given, Tensor) or not outputs.dim():
        return False
    same = outputs.data_ptr() == given.data_ptr() and outputs.numel() == given.numel()
    return same and outputs.is_contiguous() and given.is_contiguous()


def _as_called(arguments: tuple[tuple, dict]) -> Any:
    """As a trial calls the model again: one value, several, or by name; None for a mixture."""
    args, kwargs = arguments
    if kwargs:
        return kwargs if not args else None
    return args[0] if len(args) == 1 else args


def _wanted(value: Tensor, outputs: Any, call: Call) -> Tensor | None:
    """Of a loss written as arithmetic: the tensor of the batch that gives this very value."""
    if not isinstance(outputs, Tensor):
        return None
    inputs = {id(t) for t in watched.tensors_of([*(call.arguments or ())])}
    others = [t for t in watched.tensors_of(call.batch) if id(t) not in inputs]
    for tensor in others[:4]:
        tensor = tensor.to(outputs.device)
        if matching(float(value), outputs.detach(), tensor):
            return tensor
    return None
