"""What a net is called with and what it answers, seen and replaced from outside.

The loss of a task calls its model; hooks on the model reach every task alike. A batch's own
tensors, and with them the targets, stay what they are.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from famulus.diagnosis.controls.bench import Net
from famulus.diagnosis.controls.samples import part_of
from famulus.feed.feeder import Batch

NOT_ONCE = "the loss does not call the net once with a batch"


@dataclasses.dataclass
class Call:
    """What one loss called its model with, and what came out."""

    arguments: list[Tensor]
    answer: Any


def calls_of(net: Net, batch: Batch) -> list[Call]:
    """Every call of the model itself by one loss, in order."""
    calls: list[Call] = []

    def look(module: nn.Module, args: tuple, kwargs: dict, answer: Any) -> None:
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        # A copy: a net may write into what it is called with.
        calls.append(Call([v.detach().clone() for v in tensors], answer))

    handle = net.model.register_forward_hook(look, with_kwargs=True)
    try:
        net.parts(batch)
    finally:
        handle.remove()
    return calls


class Free:
    """The loss of one batch as a function of the net's answers.

    `outputs`: those that hold a number for each sample and have a gradient; none where the loss
    does not call the net exactly once.
    """

    def __init__(self, net: Net, batch: Batch) -> None:
        self.net, self.batch, self.samples = net, batch, len(batch["index"])
        self.calls = calls_of(net, batch)
        tensors = _tensors(self.calls[0].answer) if len(self.calls) == 1 else []
        self.outputs = [
            t for t in tensors if len(t.shape) and t.requires_grad and len(t) == self.samples
        ]

    def loss(self, free: Sequence[Tensor], part: slice, noise: int = 0) -> Tensor:
        """With `free` in the place of the outputs: the samples `part` of them and of the batch."""
        # by identity: two outputs may hold equal numbers
        new = {id(old): t for old, t in zip(self.outputs, free, strict=True)}
        with _answering(self.net.model, _with(self.calls[0].answer, new, self.samples, part)):
            return self.net.parts(part_of(self.batch, part), noise)["total"]


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
        for name in (field.name for field in dataclasses.fields(answer)):
            value = _with(getattr(answer, name), new, samples, part)
            object.__setattr__(twin, name, value)  # which a frozen one allows, too
        return twin
    if isinstance(answer, dict):
        return {k: _with(v, new, samples, part) for k, v in answer.items()}
    if isinstance(answer, tuple) and hasattr(answer, "_fields"):
        # a named tuple takes its fields one by one
        return type(answer)(*(_with(v, new, samples, part) for v in answer))
    if isinstance(answer, list | tuple):
        return type(answer)(_with(v, new, samples, part) for v in answer)
    return answer


@contextlib.contextmanager
def _answering(model: nn.Module, answer: Any) -> Iterator[None]:
    """The model, called with anything, gives `answer`."""
    # Only a forward of the instance's own is put back; the class's shows once ours is gone.
    own = model.__dict__.get("forward")
    model.forward = lambda *args, **kwargs: answer
    try:
        yield
    finally:
        if own is None:
            del model.forward
        else:
            model.forward = own
