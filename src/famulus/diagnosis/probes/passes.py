"""The passes of one sampled step of a loop: in which order forward, backward and update come, what
lies in `.grad` when a gradient arrives, and in which mode the net is called.

Exact, and nothing is changed: hooks on a few parameters compare what a backward pass brings with
what stands in `.grad` after it. If these are the same tensor or equal numbers, `.grad` was clear
before. A sound loop is clear at one backward pass of an update at least: where gradients of several
batches are accumulated, at the first of them; of a GAN's critic, which the generator's loss passes
through as well, at its own. What a loop does in `no_grad` counts for nothing.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torchs
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.hooks import RemovableHandle, unserializable_hook

from famulus.diagnosis.probes.layers import unwrapped
from famulus.diagnosis.probes.outputs import Guard, recorded, tensors
from famulus.diagnosis.probes.tensors import Sheet, readable

WATCHED = 4  # parameters of an optimizer: all of them are cleared, or none
ARRIVALS = 64  # gradients of an optimizer; of more batches an update the first ones will do
STRANGERS = 8  # modules that are told
PASSES = 12  # in the order that is told
FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"


class Gradients:
    """What arrives at a few parameters of one optimizer, and what it finds there."""

    def __init__(self, parameters: list[nn.Parameter], sheet: Sheet) -> None:
        self.parameters, self.sheet = parameters, sheet
        self.incoming: dict[int, Tensor] = {}  # of the backward pass that is under way
        self.reached: set[int] = set()  # since the last update
        self.pairs: list[dict[str, float]] = []  # norms: `kept` before it, `arrived`
        self.used: list[dict[str, float]] = []  # norms of what an update finds after arrivals

    def arrive(self, n: int, gradient: Tensor) -> None:
        self.incoming[n] = gradient

    @torch.no_grad()
    def accumulated(self, n: int, parameter: Tensor) -> None:
        incoming, total = self.incoming.pop(n, None), parameter.grad
        if incoming is None or total is None or not (readable(incoming) and readable(total)):
            return
        self.reached.add(n)
        if len(self.pairs) < ARRIVALS:
            pair: dict[str, float] = {}
            before = total.detach() - incoming.detach()
            self.sheet.scalar(before.float().norm(), pair, "kept")
            self.sheet.scalar(incoming.detach().float().norm(), pair, "arrived")
            self.pairs.append(pair)

    @torch.no_grad()
    def updated(self) -> None:
        """Right before an update."""
        reached, self.reached = self.reached, set()
        if not reached or len(self.used) >= ARRIVALS:
            return
        grads = [self.parameters[n].grad for n in sorted(reached)]
        sizes = [g.detach().float().norm() for g in grads if g is not None and readable(g)]
        found: dict[str, float] = {"norm": 0.0}
        if sizes:
            self.sheet.scalar(torch.stack(sizes).max(), found, "norm")
        self.used.append(found)

    def facts(self) -> dict[str, Any]:
        """kept, arrived: norms at the clearest arrival; used: the largest that an update found;
        {} where nothing arrived."""
        pairs = [pair for pair in self.pairs if pair["arrived"] or pair["kept"]]
        if not pairs:
            return {}
        clearest = min(pairs, key=lambda pair: pair["kept"])
        used = [found["norm"] for found in self.used]
        figures = {**clearest, **({"used": max(used)} if used else {})}
        if not all(map(math.isfinite, figures.values())):
            return {}  # of what is no number nobody can say that it was added
        return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


class Passes:
    """One sampled step, from its construction on until `facts`; `guard` calls what hooks do."""

    def __init__(
        self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], guard: Guard
    ) -> None:
        self.guard = guard
        self.order: list[str] = []
        self.inside = False  # is a closure or a hook of a backward pass who updates?
        self.sheet = Sheet()
        self.modes: dict[str, bool] = {}  # in training? by the name of a dropout or norm
        self.training: bool | None = None
        self.norm: dict[str, Any] | None = None
        self.dropout: dict[str, Any] | None = None
        self.depth = 0  # of calls of the model
        self.strangers: dict[int, dict[str, Any]] = {}  # modules that it calls and does not have
        self.gradients: list[Gradients] = []
        self.handles: list[RemovableHandle] = []
        net, compiled = unwrapped(model)
        self.net = net
        if compiled or net is not model:  # their gradients are not as the backward pass brings them
            return
        self.names = {id(module): name for name, module in net.named_modules()}
        self.held = {id(p) for o in optimizers for g in o.param_groups for p in g["params"]}
        own = {id(p) for p in net.parameters() if readable(p) and p.requires_grad}
        for optimizer in optimizers:
            held = [p for group in optimizer.param_groups for p in group["params"] if id(p) in own]
            self._watch(optimizer, some_of(held))
        self.handles.append(torchs.register_module_forward_pre_hook(self._forward))
        self.handles.append(torchs.register_module_forward_hook(self._returned))

    def _watch(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
        gradients = Gradients(parameters, self.sheet)
        self.gradients.append(gradients)
        for n, parameter in enumerate(parameters):
            arrive = unserializable_hook(partial(self._arrived, gradients, n))
            after = unserializable_hook(partial(self._accumulated, gradients, n))
            self.handles.append(parameter.register_hook(arrive))
            self.handles.append(parameter.register_post_accumulate_grad_hook(after))
        before = partial(self._updated, gradients)
        self.handles.append(optimizer.register_step_pre_hook(before))

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []
        for gradients in self.gradients:
            gradients.incoming = {}

    def facts(self) -> dict[str, Any]:
        """What the step's event keeps; waits for the device. A key is missing where nothing is
        known.

        order: passes, repetitions in a row once. gradients: of each optimizer, see `Gradients`.
        training: was the net in training mode at its last call with gradients; modes: were its
        dropouts and norms. norm: the batch norm whose statistics are of the fewest values.
        dropout: the module that drops the largest fraction, `p`. strangers: modules that the model
        calls, that are no part of it, and whose weights no optimizer has.
        """
        self.remove()
        self.sheet.read()
        found: dict[str, Any] = {"gradients": [g.facts() for g in self.gradients]}
        if self.order and not self.inside:
            found["order"] = self.order
        if self.strangers:
            found["strangers"] = list(self.strangers.values())
        if self.training is not None:
            found["training"] = self.training
            found["modes"] = sorted(set(self.modes.values()))
        for name, module in (("norm", self.norm), ("dropout", self.dropout)):
            if module:
                found[name] = module
        return found

    # -- hooks

    def _returned(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if module is self.net:
            self.depth = max(0, self.depth - 1)

    def _forward(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if module is self.net:
            self.depth += 1
        elif self.depth and id(module) not in self.names and torch.is_grad_enabled():
            self._stranger(module)
        if id(module) in self.names and torch.is_grad_enabled() and not recorded():
            self.guard(lambda: self._called(module, inputs))

    def _called(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._happened(FORWARD)
        self.training = self.net.training
        fraction = dropped(module)
        if has_mode(module):
            self.modes[self.names[id(module)]] = module.training
        if module.training and isinstance(module, _BatchNorm):
            self._of_norm(module, inputs)
        if module.training and fraction > (self.dropout or {"p": 0.0})["p"]:
            self.dropout = {**self._named(module), "p": fraction}

    def _stranger(self, module: nn.Module) -> None:
        """Called within the model, and no part of it: kept in a list, or made anew each time."""
        own = [p for p in module._parameters.values() if p is not None and p.requires_grad]
        if any(id(p) not in self.held for p in own) and len(self.strangers) < STRANGERS:
            self.strangers[id(module)] = {
                "type": type(module).__name__,
                "numbers": sum(p.numel() for p in own),
            }

    def _of_norm(self, module: _BatchNorm, inputs: tuple[Any, ...]) -> None:
        value = next(tensors(inputs), None)
        if value is None or value.ndim < 2 or isinstance(module, nn.SyncBatchNorm):
            return
        values = value.numel() // value.shape[1]
        if self.norm is None or values < self.norm["values"]:
            self.norm = {**self._named(module), "values": values, "samples": value.shape[0]}

    def _named(self, module: nn.Module) -> dict[str, Any]:
        return {"name": self.names[id(module)], "type": type(module).__name__}

    def _arrived(self, gradients: Gradients, n: int, gradient: Tensor) -> None:
        if not recorded():
            self.guard(lambda: gradients.arrive(n, gradient))

    def _accumulated(self, gradients: Gradients, n: int, parameter: Tensor) -> None:
        def look() -> None:
            # an update within the backward pass has used and cleared it by now
            self.inside = self.inside or parameter.grad is None
            self._happened(BACKWARD)
            gradients.accumulated(n, parameter)

        if not recorded():
            self.guard(look)

    def _updated(
        self, gradients: Gradients, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any
    ) -> None:
        closure = args[1] if len(args) > 1 else kwargs.get("closure")  # the first: the optimizer
        if closure is not None:
            self.inside = True
            return

        def look() -> None:
            self._happened(UPDATE)
            gradients.updated()

        self.guard(look)

    def _happened(self, what: str) -> None:
        if len(self.order) < PASSES and self.order[-1:] != [what]:
            self.order.append(what)


def dropped(module: nn.Module) -> float:
    """The fraction that a module drops in training; 0 for what drops nothing."""
    if isinstance(module, _DropoutNd):
        return float(module.p)
    if isinstance(module, nn.RNNBase) and module.num_layers > 1:  # between its layers
        return module.dropout
    return 0.0


def has_mode(module: nn.Module) -> bool:
    """Is it another function in training mode than in evaluation mode, as torch's own are?"""
    return isinstance(module, _BatchNorm) or dropped(module) > 0


def has_modes(model: nn.Module) -> bool:
    return any(map(has_mode, model.modules()))


class ValidationModes:
    """The modes of dropouts and norms when a validation calls them.

    Nobody announces a validation. It is expected as many steps after the last one as that came
    after the one before: hooks stand from that step on until it, or another step, has come.
    """

    def __init__(self, model: nn.Module, guard: Guard) -> None:
        self.guard, self.names = guard, {id(m) for m in model.modules() if has_mode(m)}
        self.last = self.next = 0
        self.modes: set[bool] = set()
        self.handle: RemovableHandle | None = None

    def stepped(self, steps: int) -> None:
        """After so many steps."""
        if self.handle is not None:
            self.close()
        elif steps == self.next and self.names:
            self.modes = set()
            self.handle = torchs.register_module_forward_pre_hook(self._called)

    def validated(self, steps: int) -> str:
        """`training` or `evaluation`, as the validation at this step was; '' if it was not seen."""
        modes = self.modes if self.handle is not None else set()
        self.close()
        if steps > self.last:
            self.last, self.next = steps, 2 * steps - self.last
        return ("training" if all(modes) else "evaluation") if modes else ""

    def close(self) -> None:
        if self.handle is not None:
            self.handle.remove()
        self.handle = None

    def _called(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if id(module) in self.names:
            self.guard(lambda: self.modes.add(module.training))


def some_of(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """A few, evenly; none whose gradient a hook of somebody else's may have changed by then."""
    usual = [p for p in parameters if not getattr(p, "_post_accumulate_grad_hooks", None)]
    if len(usual) <= WATCHED:
        return usual
    return [usual[round(k * (len(usual) - 1) / (WATCHED - 1))] for k in range(WATCHED)]
