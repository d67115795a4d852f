"""What a monitor looks at besides the loss: layers at sampled steps, and what batches say.

At a sampled step: a probe of all layers, which loss it is, what outputs and targets look like and
how much is still to be learned. Once: what net and loss are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from famulus.bridges.watched import first_tensor
from famulus.diagnosis.graph import read_graph
from famulus.diagnosis.probes import Probe
from famulus.ops.loss_forms import left_over, matching, output_kind, target_kind


class Together:
    """Several optimizers as the one that a probe knows: before the first, after the last."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def register_step_pre_hook(self, hook: Callable[..., None]) -> Any:
        return self.optimizers[0].register_step_pre_hook(hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> Any:
        return self.optimizers[-1].register_step_post_hook(hook)


class Sampled:
    """`begin` before each step, `see` after a sampled one, `events` once a log has waited."""

    def __init__(self, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        one = optimizers[0] if len(optimizers) == 1 else Together(optimizers)
        self._probe = Probe(model, one)
        self._seen: tuple[Any, Any, Any] | None = None
        self._graph: dict[str, Any] | None = None

    def begin(self, step: int, inputs: int) -> bool:
        """Before the step of this number: whether it is sampled."""
        return self._probe.begin(step, inputs)

    def see(self, loss: Any, inputs: Any, outputs: Any, targets: Any) -> None:
        """After a sampled step, before the log: nothing here waits for the device."""
        named = {"inputs": first_tensor(inputs), "targets": first_tensor(targets)}
        named["outputs"] = first_tensor(outputs)
        self._probe.batch({k: v for k, v in named.items() if v is not None})
        self._seen = (loss, outputs, targets)
        if self._graph is None:
            self._graph = read_graph(loss, outputs)

    def graph(self) -> dict[str, Any]:
        """What net and loss are made of, the first time; {} afterwards."""
        graph, self._graph = self._graph or {}, {}
        return graph

    def events(self) -> list[dict[str, Any]]:
        """Probes since the last call, the newest with `forms`; waits for the device."""
        events = self._probe.take()
        if self._seen and events:
            events[-1]["forms"] = forms(*self._seen)
        self._seen = None
        return events

    def close(self) -> None:
        self._probe.close()
        self._seen = None


def forms(loss: Any, outputs: Any, targets: Any) -> dict[str, Any]:
    """What one batch says of the loss and of how much is learned; {} without tensors to look at.

    loss: name of the standard loss that gives this very value, factor over its mean; outputs,
    targets: their kinds and shapes; accuracy, most (share of the most frequent class), left: see
    `ops.loss_forms.left_over`.
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or not targets.numel():
        return {}
    outputs, targets = outputs.detach(), targets.detach()
    if outputs.is_complex() or targets.is_complex() or not bool(torch.isfinite(outputs).all()):
        return {}
    kind, classes = target_kind(targets)
    found: dict[str, Any] = {"targets": kind, "classes": classes, "outputs": output_kind(outputs)}
    found["output_shape"] = list(outputs.shape)
    found["target_shape"] = list(targets.shape)
    value = float(loss.detach() if isinstance(loss, Tensor) else loss)
    same = matching(value, outputs, targets)
    found["loss"], found["factor"] = same if same else (None, None)
    left = left_over(outputs, targets, found["loss"]) or {}
    return found | {k: round(v, 4) for k, v in left.items()}
