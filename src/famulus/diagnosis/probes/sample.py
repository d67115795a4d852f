"""One step under measurement: its hooks, its figures on the device, and the event they become."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from famulus.diagnosis.probes.layers import (
    Layer,
    hookable,
    in_order_of_calls,
    layers_of,
    unwrapped,
)
from famulus.diagnosis.probes.outputs import Outputs
from famulus.diagnosis.probes.tensors import (
    Sheet,
    batch_figures,
    norms,
    rank_of_gram,
    readable,
)

ACTIVATION = ("mean", "std", "zeros", "dead", "saturated")
KEYS = ("name", "type", "numbers", "weight", "grad", "update", "moved", "trainable", "held",
        "calls", *ACTIVATION)  # fmt: skip


class Updated(Protocol):
    """What is read of an optimizer, or of several that are taken as one."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def register_step_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle: ...

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle: ...


class Sample:
    """One step under measurement."""

    def __init__(self, model: nn.Module, optimizer: Updated | None, step: int, inputs: int) -> None:
        self.step, self.inputs = step, inputs
        net, compiled = unwrapped(model)
        self.layers, self.more = layers_of(net)
        self.sheet = Sheet()
        self.outputs = Outputs([] if compiled else hookable(net, self.layers), self.sheet)
        self.owners = [(layer, p) for layer in self.layers for p in layer.parameters]
        self.held = None
        self.handles = []
        if optimizer is not None:
            self.held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            self.handles = [
                optimizer.register_step_pre_hook(lambda *_: self._before_update()),
                optimizer.register_step_post_hook(lambda *_: self._after_update()),
            ]
        self.before: list[Tensor] = []  # weights
        self.seen: dict[str, Any] = {}  # of the batch
        self.rank: dict[str, Any] | None = None
        self.graded = self.moved = False
        self.memory_mb = 0.0

    @torch.no_grad()
    def batch(self, tensors: Mapping[str, Any]) -> None:
        for name, value in tensors.items():
            if readable(value):
                self.seen[name] = batch_figures(value, self.sheet)

    @torch.no_grad()
    def gradients(self) -> None:
        if self.graded:
            return
        self.graded = True
        self.outputs.remove()
        arrived = [(layer, p.grad) for layer, p in self.owners if p.grad is not None]
        if arrived:
            self._write(arrived, norms([grad for _, grad in arrived]), "grad")
        if self.owners:
            self._write(self.owners, norms([p.detach() for _, p in self.owners]), "weight")

    @torch.no_grad()
    def _before_update(self) -> None:
        self.gradients()
        # a copy: the step changes weights in place
        self.before = [p.detach().clone() for _, p in self.owners if p.requires_grad]

    @torch.no_grad()
    def _after_update(self) -> None:
        trained = [(layer, p) for layer, p in self.owners if p.requires_grad]
        if self.before and len(self.before) == len(trained) and not self.moved:
            self.moved = True
            # one call: a loop would launch a kernel for each tensor
            changes = torch._foreach_sub([p.detach() for _, p in trained], self.before)
            self._write(trained, norms(changes), "update")
            # the difference of two numbers that are not the same is never 0
            self._write(trained, norms(changes, math.inf), "largest")
        self.before = []
        self._finish()

    def _write(self, owners: Sequence[tuple[Layer, Tensor]], values: Tensor, key: str) -> None:
        """One value a parameter into its layer, as (norm, how many numbers)."""

        def place(found: Any) -> None:
            for (layer, p), value in zip(owners, found, strict=True):
                layer.entry.setdefault(key, []).append((float(value), p.numel()))

        self.sheet.put(values, place)

    def _finish(self) -> None:
        """No more hooks; the figures are one tensor."""
        self.outputs.remove()
        for handle in self.handles:
            handle.remove()
        self.handles = []

    @torch.no_grad()
    def close(self) -> None:
        self._finish()
        self.before = []
        self.gradients()
        if found := self.outputs.rank():
            layer, of, gram = found
            self.rank = rank = {"layer": layer.name, "of": of}
            self.sheet.put(gram, lambda v: rank.__setitem__("effective", rank_of_gram(v)))
        device = next((p.device for _, p in self.owners), torch.device("cpu"))
        self.memory_mb = memory_mb(device)
        self.sheet.close()
        self.outputs.narrow = []

    def event(self) -> dict[str, Any]:
        """As the history holds it: see docs/doctor.md."""
        self.sheet.read()
        layers = []
        for layer in in_order_of_calls(self.layers):
            if layer.entry.get("reshapes"):
                continue
            layers.append(self._entry(layer))
            layers += [_rounded({**dict.fromkeys(KEYS), **entry}) for entry in layer.after]
        for figures in self.seen.values():
            figures["finite"] = math.isfinite(figures["min"]) and math.isfinite(figures["max"])
        rank = self.rank if self.rank and self.rank.get("effective") is not None else None
        event = {
            "kind": "probe",
            "step": self.step,
            "inputs": self.inputs,
            "layers": layers,
            "batch": {name: _rounded(figures) for name, figures in self.seen.items()},
            "rank": rank and _rounded(rank),
            "memory_mb": self.memory_mb,
        }
        return event | ({"more": self.more} if self.more else {})

    def _entry(self, layer: Layer) -> dict[str, Any]:
        entry = layer.entry
        largest = [value for value, _ in entry.get("largest", [])]
        held = [self.held is not None and id(p) in self.held for p in layer.parameters]
        known = bool(layer.parameters) and self.held is not None
        own = {
            "name": layer.name,
            "type": type(layer.module).__name__,
            "numbers": sum(p.numel() for p in layer.parameters),
            "weight": _rms(entry.get("weight")),
            "grad": _rms(entry.get("grad")),
            "update": _rms(entry.get("update")),
            "moved": any(value != 0 for value in largest) if known and self.moved else None,
            "trainable": any(p.requires_grad for p in layer.parameters),
            "held": any(held) if known else None,
            "calls": entry.get("calls", 0),
        }
        return _rounded({**own, **{key: entry.get(key) for key in ACTIVATION}})


def _rms(parts: list[tuple[float, int]] | None) -> float | None:
    """From norms over parts of a layer."""
    if not parts:
        return None
    return math.hypot(*(norm for norm, _ in parts)) / math.sqrt(sum(n for _, n in parts))


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Floats to four digits."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in figures.items()}


def memory_mb(device: torch.device) -> float:
    """What the process holds: on a GPU the most that torch had taken there; 0 if unknown."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
