"""Which modules of a net a probe looks at: those with parameters of their own, and activations."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from famulus.diagnosis.probes.tensors import (
    readable,
)

MOST = 64  # layers in an event
COMPILED = "_orig_mod"  # what torch.compile wraps


@dataclass
class Layer:
    """One module: its own parameters, and what its first call of a step said."""

    name: str
    module: nn.Module
    parameters: list[nn.Parameter] = field(default_factory=list)
    place: int | None = None  # in the order of first calls; None: never called
    channels: int = 0  # of its output, where each has several places
    entry: dict[str, Any] = field(default_factory=dict)
    after: list[dict[str, Any]] = field(default_factory=list)  # functions that took its output


def layers_of(model: nn.Module) -> tuple[list[Layer], int]:
    """At most `MOST` layers in the order of the model, and how many more there are.

    A shared parameter belongs to the first module that has it. Of very many layers, those without
    parameters go first, then every so many.
    """
    owned: set[int] = set()
    found = []
    for name, module in model.named_modules():
        # torch's own iterators cost more than all else here
        every = [p for p in module._parameters.values() if p is not None]
        own = [p for p in every if id(p) not in owned and _real(p)]
        owned |= {id(p) for p in own}
        if every or (not any(m is not None for m in module._modules.values()) and _acts(module)):
            short = ".".join(part for part in name.split(".") if part != COMPILED)
            found.append(Layer(short or type(module).__name__, module, own))
    total = len(found)
    if total > MOST:
        found = [layer for layer in found if layer.parameters]
    if len(found) > MOST:
        found = [found[round(k * (len(found) - 1) / (MOST - 1))] for k in range(MOST)]
    return found, total - len(found)


def _real(parameter: nn.Parameter) -> bool:
    return readable(parameter) and (parameter.is_floating_point() or parameter.is_complex())


def in_order_of_calls(layers: list[Layer]) -> list[Layer]:
    """As the data met them; a layer that was not called stays behind the one declared before it."""
    keys, place = [], -1
    for layer in layers:
        place = place if layer.place is None else layer.place
        keys.append(place)
    order = sorted(range(len(layers)), key=lambda n: (keys[n], n))
    return [layers[n] for n in order]


def unwrapped(model: nn.Module) -> tuple[nn.Module, bool]:
    """The net inside DistributedDataParallel and torch.compile; whether it was compiled.

    A hook would make a compiled net compile again: where any part is, only weights are measured.
    """
    compiled = any(COMPILED in m._modules or m._compiled_call_impl for m in model.modules())
    while True:
        if COMPILED in model._modules and (inner := model._modules[COMPILED]) is not None:
            model = inner
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model, compiled


def _acts(module: nn.Module) -> bool:
    """torch's own pooling, dropout and reshaping change nothing worth a line."""
    return not torchs_own(module) or type(module).__module__ == "torch.nn.modules.activation"


def torchs_own(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn")
