"""Loss functions of torch as a script calls them: what was answered, what was wanted, what came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from famulus.diagnosis.loss_forms import counted

SCALINGS = ("DivBackward0", "MulBackward0")
OF_TARGETS = {"gaussian_nll_loss": 1, "ctc_loss": 1}  # place of the target; 1 for all others, too


@dataclass(slots=True)
class Criterion:
    """One call. `name` is torch's, as `cross_entropy`.

    node: number of the operation that made the result, by which it is known again in a graph: to
    keep the operation itself would keep all activations.
    """

    name: str
    outputs: Any
    targets: Any
    result: Tensor
    summed: bool
    node: int | None = None

    def lighten(self, answers: bool) -> None:
        """Lets go of the graph; keeps `answers` and targets, or the value alone."""
        self.outputs = self.outputs.detach() if answers else None
        self.targets = self.targets if answers else None
        self.result = self.result.detach()

    @property
    def samples(self) -> int:
        """In the batch: the length of the first axis."""
        outputs = self.outputs
        return len(outputs) if isinstance(outputs, Tensor) and outputs.dim() else 1


def read(name: str, args: tuple, kwargs: dict, result: Any) -> Criterion | None:
    """None for what is no loss of two tensors, or not reduced to one number."""
    if not isinstance(result, Tensor) or result.numel() != 1:
        return None
    outputs = args[0] if args else kwargs.get("input")
    targets = args[1] if len(args) > 1 else kwargs.get("target")
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return None
    summed = kwargs.get("reduction") == "sum" or kwargs.get("size_average") is False
    made = result.grad_fn
    node = None if made is None else made._sequence_nr()
    return Criterion(name, outputs, targets, result, summed, node)


def unscaled(loss: Tensor, criteria: list[Criterion]) -> Criterion | None:
    """The criterion whose result, times or over a plain number at most, is this loss: a batch's
    share in accumulated gradients, or what a scaler made of it."""
    for node in _chain(loss.grad_fn):
        for criterion in criteria:
            if criterion.node == node._sequence_nr():
                return criterion
    return None


def _chain(node: Any) -> Iterator[Any]:
    """`node`, and what it scales."""
    for _ in range(8):
        if node is None:
            return
        yield node
        inner = [other for other, _ in node.next_functions if other is not None]
        if node.name() not in SCALINGS or len(inner) != 1:
            return
        node = inner[0]


@torch.no_grad()
def right_answers(criterion: Criterion) -> tuple[Tensor, Tensor] | None:
    """(whether each answer is right, how often each class is the true one); None where targets are
    no class ids, or no yes and no."""
    outputs, targets = criterion.outputs.detach(), criterion.targets.detach()
    if criterion.name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        if targets.is_floating_point() or outputs.dim() != targets.dim() + 1 or outputs.dim() < 2:
            return None
        valid = counted(targets, outputs.shape[1])
        truth = targets[valid]
        return outputs.argmax(1)[valid] == truth, torch.bincount(truth, minlength=outputs.shape[1])
    if criterion.name.startswith("binary_cross_entropy") and outputs.shape == targets.shape:
        if outputs.dim() > 1 and outputs.shape[1] > 1:
            return None  # a picture or several labels: what share is right says little
        cut = 0.0 if criterion.name.endswith("logits") else 0.5
        truth = (targets > 0.5).flatten()
        return (outputs > cut).flatten() == truth, torch.bincount(truth.long(), minlength=2)
    return None
