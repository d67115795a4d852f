"""One step under measurement: its hooks, its figures on the device, and the event they become."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from famulus.diagnosis import gaussian_code
from famulus.diagnosis.probes import codebook
from famulus.diagnosis.probes.features import describe
from famulus.diagnosis.probes.layers import (
    Layer,
    in_order_of_calls,
    layers_of,
    unwrapped,
)
from famulus.diagnosis.probes.outputs import Guard, Outputs
from famulus.diagnosis.probes.tensors import (
    Sheet,
    batch_figures,
    largest_of,
    norms,
    rank_of_gram,
    readable,
)

ACTIVATION = ("mean", "std", "zeros", "dead", "saturated")
KEYS = ("name", "type", "numbers", "weight", "grad", "update", "moved", "trainable", "held",
        "calls", *ACTIVATION)  # fmt: skip


Owner = tuple[Layer, nn.Parameter]


class Sample:
    """One step under measurement.

    Of several optimizers each one's parameters are read at its own update: what lies in `grad` at
    another's (a GAN's) is left over from elsewhere. Those that none holds are read at the first.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        step: int,
        inputs: int,
        guard: Guard,
    ) -> None:
        self.step, self.inputs, self.guard = step, inputs, guard
        net, compiled = unwrapped(model)
        self.layers, self.more = layers_of(net)
        self.sheet = Sheet()
        self.outputs = Outputs(net, [] if compiled else self.layers, self.sheet, guard)
        self.owners = [(layer, p) for layer in self.layers for p in layer.parameters]
        self.optimizers = optimizers
        groups = {id(o): {id(p) for g in o.param_groups for p in g["params"]} for o in optimizers}
        self.held = set().union(*groups.values()) if optimizers else None
        self.waiting = groups  # for the update of these
        self.handles = [o.register_step_pre_hook(self._before) for o in optimizers]
        self.handles += [o.register_step_post_hook(self._after) for o in optimizers]
        self.inside: torch.optim.Optimizer | None = None  # whose step calls a closure
        self.before: dict[int, tuple[list[Owner], list[Tensor]]] = {}  # weights, by optimizer
        self.read: set[int] = set()  # parameters whose gradients are known
        self.updated: set[int] = set()  # parameters, over an update
        self.seen: dict[str, Any] = {}  # of the batch
        self.rank: dict[str, Any] | None = None
        self.represented: dict[str, dict[str, Any]] = {}  # code, codebook, end
        self.memory_mb = 0.0

    @torch.no_grad()
    def batch(self, tensors: Mapping[str, Any]) -> None:
        for name, value in tensors.items():
            if readable(value):
                self.seen[name] = batch_figures(value, self.sheet)

    @torch.no_grad()
    def gradients(self) -> None:
        """Of all parameters that were not read yet."""
        self.outputs.remove()
        self._gradients(self.owners)

    def _gradients(self, owners: Sequence[Owner], scale: Any = None) -> None:
        """`scale`: what a GradScaler has multiplied them by and leaves to the optimizer to undo."""
        owners = [(layer, p) for layer, p in owners if id(p) not in self.read]
        self.read |= {id(p) for _, p in owners}
        arrived = [(layer, p.grad) for layer, p in owners if p.grad is not None]
        if arrived:
            sizes = norms([grad for _, grad in arrived])
            if isinstance(scale, Tensor):
                sizes = sizes / scale.to(sizes.device)
            self._write(arrived, sizes, "grad")
        if owners:
            self._write(owners, norms([p.detach() for _, p in owners]), "weight")

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")  # the first: the optimizer
        if closure is not None:
            self.inside = optimizer  # its gradients are computed within the step
        else:
            self.guard(lambda: self.before_update(optimizer))

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.inside = None
        self.guard(lambda: self.after_update(optimizer))

    @torch.no_grad()
    def before_update(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Gradients are there, weights as they were: of this optimizer, the one whose step calls
        the closure that says so, or all."""
        optimizer = optimizer or self.inside
        for one in self.optimizers if optimizer is None else [optimizer]:
            if (own := self.waiting.pop(id(one), None)) is None:
                continue  # not the first update in this step
            if not self.waiting:
                self.outputs.remove()
            others = (self.held or set()) - own | self.updated
            mine = [(layer, p) for layer, p in self.owners if id(p) not in others]
            self._gradients(mine, getattr(one, "grad_scale", None))
            self.updated |= {id(p) for _, p in mine}
            trained = [(layer, p) for layer, p in mine if p.requires_grad]
            # copies: the step changes weights in place
            self.before[id(one)] = trained, [p.detach().clone() for _, p in trained]

    @torch.no_grad()
    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        trained, before = self.before.pop(id(optimizer), ([], []))
        if trained:
            # one call: a loop would launch a kernel for each tensor
            torch._foreach_sub_(before, [p.detach() for _, p in trained])
            self._write(trained, norms(before), "update")
            # the difference of two numbers that are not the same is never 0
            self._write(trained, largest_of(before), "largest")
        if not self.waiting and not self.before:
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
        self.before = {}
        self.gradients()
        if found := self.outputs.rank():
            layer, of, gram = found
            self.rank = rank = {"layer": layer.name, "of": of}
            self.sheet.put(gram, lambda v: rank.__setitem__("effective", rank_of_gram(v)))
        # nobody handed over what the model takes; a task names its tensors otherwise
        if self.outputs.first is not None and set(self.seen) <= {"outputs", "targets"}:
            self.batch({"inputs": self.outputs.first})
        self._look_inside()
        device = next((p.device for _, p in self.owners), torch.device("cpu"))
        self.memory_mb = memory_mb(device)
        self.sheet.close()
        self.outputs.narrow, self.outputs.end, self.outputs.first = [], None, None

    def _look_inside(self) -> None:
        """A VAE's code, a codebook's use, the features that a net ends in."""
        outputs = self.outputs
        if outputs.code is not None:
            self._put("code", (*gaussian_code.FIGURES, "doubt"), torch.cat(outputs.code))
        if outputs.codebook is not None:
            self._put("codebook", codebook.FIGURES, outputs.codebook)
        # where there are targets, nobody asks how alike outputs are
        if outputs.end is not None and set(self.seen) <= {"inputs", "outputs"}:
            layer, value = outputs.end
            self.represented["end"] = end = {"layer": layer.name}
            describe(value, self.sheet, end)
            if outputs.views is not None:
                self.sheet.scalar(outputs.views, end, "views")

    def _put(self, name: str, keys: Sequence[str], figures: Tensor) -> None:
        into = self.represented.setdefault(name, {})
        self.sheet.put(
            figures, lambda found: into.update(zip(keys, map(float, found), strict=True))
        )

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
        known = {
            name: _rounded(figures) for name, figures in self.represented.items() if _is(figures)
        }
        return event | known | ({"more": self.more} if self.more else {})

    def _entry(self, layer: Layer) -> dict[str, Any]:
        entry = layer.entry
        largest = [value for value, _ in entry.get("largest", [])]
        held = [self.held is not None and id(p) in self.held for p in layer.parameters]
        known = bool(layer.parameters) and self.held is not None
        over = any(id(p) in self.updated for p in layer.parameters)
        own = {
            "name": layer.name,
            "type": type(layer.module).__name__,
            "numbers": sum(p.numel() for p in layer.parameters),
            "weight": _rms(entry.get("weight")),
            "grad": _rms(entry.get("grad")),
            "update": _rms(entry.get("update")),
            "moved": any(value != 0 for value in largest) if known and over else None,
            "trainable": any(p.requires_grad for p in layer.parameters),
            "held": any(held) if known else None,
            "calls": entry.get("calls", 0),
        }
        return _rounded({**own, **{key: entry.get(key) for key in ACTIVATION}})


def _is(figures: dict[str, Any]) -> bool:
    """Is it what it was taken for? What decided that is left out."""
    doubt, apart = figures.pop("doubt", 0.0), figures.pop("apart", 0.0)
    numbers = [v for v in figures.values() if isinstance(v, float)]
    return doubt <= 1 and apart <= codebook.APART and all(map(math.isfinite, numbers))


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
        with open("/proc/self/statm", "rb", buffering=0) as statm:
            pages = int(statm.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
