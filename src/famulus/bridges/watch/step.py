"""Between two updates of the weights: calls of the model, losses, and their tensors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from famulus.bridges import watched
from famulus.bridges.watch.criteria import Criterion
from famulus.bridges.watch.places import Place
from famulus.diagnosis.loss_forms import matching
from famulus.diagnosis.probes.outputs import tensors


class Trained(Protocol):
    """What a call must know of the training that it belongs to."""

    @property
    def looks(self) -> bool: ...

    @property
    def samples(self) -> bool: ...

    @property
    def wants_inputs(self) -> bool: ...

    def validate(self, call: Call, criterion: Criterion) -> None: ...


@dataclass(slots=True)
class Call:
    """A script's call of its model. Tensors are kept only where they will be looked at."""

    training: Trained | None  # None while it is not known
    trains: bool  # gradients are asked for, and the model is in training mode
    mode: bool = True  # is it in training mode?
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


@dataclass(frozen=True, slots=True)
class Tensors:
    """Of one step, as a monitor takes them."""

    inputs: Any = None
    outputs: Any = None
    targets: Any = None
    loss: Any = None
    # Among the tensors that the model gives, the one that the loss takes, and its shape there.
    answer: tuple[int, tuple[int, ...]] | None = None


NOTHING = Tensors()  # of a step that nobody looks at


def samples_in(losses: list[Loss]) -> int:
    """In a step: accumulated batches add up; several losses are of the same ones."""
    if len(losses) == 1 and len(losses[0].calls) == 1:  # as mostly: nothing to sort out
        return losses[0].calls[0].samples
    counts, fetched = Counter[Place | None](), set[Place | None]()
    for loss in losses:
        counts[loss.place] += sum(call.samples for call in loss.calls)
        fetched |= {loss.place for call in loss.calls if call.loader}
    # a generator's noise counts only where nothing comes from a loader
    return max([counts[place] for place in fetched] or counts.values(), default=0)


def tensors_of(losses: list[Loss]) -> Tensors:
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
    """Of a loss written as arithmetic: the tensor of the batch that gives this very value; else the
    only one that has the shape of the outputs, as a mask has."""
    if not isinstance(outputs, Tensor):
        return None
    inputs = {id(t) for t in watched.tensors_of([*(call.arguments or ())])}
    others = [t for t in watched.tensors_of(call.batch) if id(t) not in inputs]
    for tensor in others[:4]:
        tensor = tensor.to(outputs.device)
        if matching(float(value), outputs.detach(), tensor):
            return tensor
    alike = [t for t in others if t.shape == outputs.shape]
    return alike[0].to(outputs.device) if len(alike) == 1 else None
