"""What a probe reads when the layers of a net are called: forward hooks for one step.

They are torch's global ones: a hook on a module goes along into every copy and pickle of it, and
closes the fast path of a frozen transformer.

An activation that is a function (`F.relu(self.conv(x))`) is no module: it is seen in the input of
the next layer, by the name of the node that made it, and gets an entry of its own, `conv > relu`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torchs
from torch.utils.hooks import RemovableHandle

from famulus.diagnosis import gaussian_code
from famulus.diagnosis.probes.codebook import nearest, tables, use
from famulus.diagnosis.probes.features import are_features
from famulus.diagnosis.probes.layers import Layer, torchs_own
from famulus.diagnosis.probes.tensors import (
    Sheet,
    gram,
    plain,
    pooled,
    put_dead,
    readable,
    sampled,
)

# Their units are the last axis of what they return; those of all others are the second.
INNERMOST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.MultiheadAttention, nn.RNNBase)
FUNCTIONS = {
    "Relu": "relu", "LeakyRelu": "leaky_relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Elu": "elu",
    "Gelu": "gelu", "Silu": "silu", "Mish": "mish", "Softplus": "softplus", "Softmax": "softmax",
    "Hardtanh": "hardtanh", "Threshold": "relu",
}  # fmt: skip
THROUGH = {
    "View", "UnsafeView", "ReshapeAlias", "AsStrided", "Transpose", "Permute", "T", "Squeeze",
    "Unsqueeze", "Expand", "Clone", "ToCopy", "Contiguous", "MaxPool2DWithIndices",
    "MaxPool3DWithIndices", "MaxPool1D", "AvgPool2D", "AvgPool3D", "Mean", "AdaptiveAvgPool2D",
}  # fmt: skip


def flat_part(kind: str, value: Tensor) -> Tensor | None:
    """Share of `value` where the activation has no slope left; None for those that have some."""
    match kind.lower():
        case "tanh":
            return (value.abs() > 0.97).float().mean()
        case "sigmoid":
            return ((value - 0.5).abs() > 0.48).float().mean()
        case "hardtanh":
            return (value.abs() >= 1).float().mean()
    return None


def recorded() -> bool:
    """Does torch or a mode of the script's record operations now: a trace, an export, a count?

    Then an operation of ours would become part of the result, and a tensor may hold no numbers.
    """
    return torch._C._get_tracing_state() is not None or torch._C._len_torch_dispatch_stack() > 0


Guard = Callable[[Callable[[], object]], object]


class Outputs:
    """Forward hooks for one step: each layer's first output, measured where it is made.

    `guard` calls what a hook does, so that a fault of ours need not end a forward pass.
    """

    def __init__(self, net: nn.Module, layers: list[Layer], sheet: Sheet, guard: Guard) -> None:
        self.sheet, self.guard = sheet, guard
        self.layers = {
            id(layer.module): layer
            for layer in layers
            if not isinstance(layer.module, torch.jit.ScriptModule)
        }
        self.nodes: list[tuple[Any, Layer]] = []  # what made each output, kept alive for `is`
        self.axis = 1  # of the units, as of the last layer with weights
        self.seen: list[Layer] = []  # in order of their first call
        self.called: list[Layer] = []  # of these, those with weights
        self.narrow: list[tuple[int, Layer, Tensor]] = []  # each narrower than all before
        self.tables = tables(net) if self.layers else []
        self.code: tuple[Tensor, Tensor] | None = None  # see `gaussian_code.of_input`
        self.first: Tensor | None = None  # what the first layer was called with
        self.codebook: Tensor | None = None  # see `codebook.use`
        # the last layer with weights that was called, and its output if it is features
        self.end: tuple[Layer, Tensor] | None = None
        self.views: Tensor | None = None  # how far its second output is from the first
        self.handles: list[RemovableHandle] = []
        if self.layers:
            self.handles = [
                torchs.register_module_forward_pre_hook(self._before),
                torchs.register_module_forward_hook(self._after),
            ]

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles, self.nodes = [], []

    def _before(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        layer = self.layers.get(id(module))
        if layer and not layer.entry.get("calls") and not recorded():
            with torch._C.DisableTorchFunctionSubclass():
                self.guard(lambda: self._entered(inputs))

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if (layer := self.layers.get(id(module))) and not recorded():
            with torch._C.DisableTorchFunctionSubclass():
                self.guard(lambda: self._called(layer, inputs, output))

    def _entered(self, inputs: tuple[Any, ...]) -> None:
        if (value := next(tensors(inputs), None)) is None:
            return
        if self.first is None:
            self.first = value.detach()
        self._function(value)
        if self.code is None and value.dim() > 1:
            self.code = gaussian_code.of_input(value)
        # what the first layer takes is the data
        if self.tables and self.called and (found := use(value, self.tables)) is not None:
            self.codebook = found if self.codebook is None else nearest(self.codebook, found)

    def _called(self, layer: Layer, inputs: tuple[Any, ...], output: Any) -> None:
        module = layer.module
        layer.entry["calls"] = layer.entry.get("calls", 0) + 1
        for part in tensors(output):
            if part.grad_fn is not None:
                self.nodes.append((part.grad_fn, layer))
        value = next(tensors(output), None)
        if layer.entry["calls"] == 1:
            layer.place = len(self.seen)
            self.seen.append(layer)
        if value is not None and layer.entry["calls"] == 2 and value.requires_grad:
            self._again(layer, plain(value))
        if value is None or layer.entry["calls"] > 1:
            return
        if layer.parameters:
            self.axis = -1 if isinstance(module, INNERMOST) else 1
            layer.channels = value.shape[1] if self.axis == 1 and value.ndim > 2 else 0
        if not layer.parameters and not torchs_own(module) and _same_memory(inputs, value):
            layer.entry["reshapes"] = True
            return
        self._measure(plain(value), type(module).__name__, layer.entry)
        if layer.parameters:
            self._narrowest(layer, plain(value))
            self.end = (layer, plain(value).float().clone()) if are_features(value) else None

    @torch.no_grad()
    def _measure(self, value: Tensor, kind: str, into: dict[str, Any]) -> None:
        some = sampled(value)
        self.sheet.sample(some, into)
        put_dead(value, self.axis, self.sheet, into)
        if (share := flat_part(kind, some)) is not None:
            self.sheet.scalar(share, into, "saturated")

    @torch.no_grad()
    def _again(self, layer: Layer, value: Tensor) -> None:
        """The last layer's second output, of another view of the samples."""
        if self.end is not None and layer is self.end[0] and value.shape == self.end[1].shape:
            first = self.end[1]
            size = first.abs().max().clamp_min(1e-30)
            self.views = (value.float() - first).abs().max() / size

    @torch.no_grad()
    def _narrowest(self, layer: Layer, value: Tensor) -> None:
        if value.ndim >= 2 and len(value) > 1 and value.shape[self.axis] > 1:
            width = value.numel() // len(value)
            if self.called and (not self.narrow or width < self.narrow[-1][0]):
                self.narrow.append((width, layer, pooled(value, self.axis)))
        self.called.append(layer)

    def _function(self, value: Tensor) -> None:
        """An activation without a module, between two layers."""
        kind, source = self._origin(value.grad_fn)
        if not kind or source is None or any(entry["type"] == kind for entry in source.after):
            return
        entry = {"name": f"{source.name} > {kind}", "type": kind, "numbers": 0, "calls": 1}
        source.after.append(entry)
        value = plain(value)
        if value.ndim == 2 and source.channels and value.shape[1] % source.channels == 0:
            # a place that is dark is no dead unit
            value = value.unflatten(1, (source.channels, -1))
        self._measure(value, kind, entry)

    def _origin(self, node: Any) -> tuple[str, Layer | None]:
        """The activation that made an input, if it was none of a module's, and on which layer."""
        kind = ""
        for _ in range(8):
            if node is None:
                return "", None
            for known, layer in self.nodes:
                if known is node:
                    return kind, layer
            name = node.name().split("::")[-1].removesuffix("0").removesuffix("Backward")
            if not kind and name in FUNCTIONS:
                kind = FUNCTIONS[name]
            elif name not in THROUGH:
                return kind, self.called[-1] if self.called else None
            node = node.next_functions[0][0] if node.next_functions else None
        return "", None

    def rank(self) -> tuple[Layer, int, Tensor] | None:
        """The narrowest layer between the first and the last: its greatest rank, its `gram`."""
        inner = [n for n in self.narrow if n[1] is not self.called[-1]]
        if not inner:
            return None
        _, layer, features_BU = inner[-1]
        return layer, min(features_BU.shape), gram(features_BU)


def _same_memory(inputs: tuple[Any, ...], output: Tensor) -> bool:
    """Whether an output is a view of the input: a reshape of one's own."""
    given = next(tensors(inputs), None)
    return given is not None and given.data_ptr() == output.data_ptr()


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors of real numbers in an output: itself, or inside tuples, lists, dicts."""
    if readable(value) and value.is_floating_point():
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors(getattr(value, name, None))
