"""Examples of a model folder: inputs of one call of the network, and the outputs they must give.

The inputs are made up (`Task.example`), never samples of the data: a folder is handed on, and data
may be nobody else's business.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from famulus.config.errors import StoreError
from famulus.launch.trained import Trained, unpacked
from famulus.store.model_folder import INPUTS, OUTPUTS, ModelFolder

TOLERANCE = 1e-5  # of an output's range


class Flat(nn.Module):
    """`net` with its output as a tuple of tensors, whatever it is made of."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return tuple(named(self.net(*arguments)).values())


def made(trained: Trained) -> dict[str, bytes]:
    """The files of `examples/`; {} of a task that gives none."""
    arguments = trained.task.example(trained.module)
    if not arguments:
        return {}
    inputs = dict(zip(parameters(trained.module), arguments, strict=False))
    return {
        INPUTS: save({name: tensor.contiguous() for name, tensor in inputs.items()}),
        OUTPUTS: save(called(trained.module, list(inputs.values()))),
    }


def parameters(module: nn.Module) -> list[str]:
    """Names of the arguments of one call."""
    return list(inspect.signature(module.forward).parameters)


@torch.no_grad()
def called(module: nn.Module, arguments: Sequence[Tensor]) -> dict[str, Tensor]:
    """Every tensor of the output by its name, on the CPU."""
    place = next((p.device for p in module.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a task of one's own may draw
        out = named(module(*(a.to(place) for a in arguments)))
    # a copy: of two outputs that share their memory, both are written
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in out.items()}


def named(out: Any, name: str = "output") -> dict[str, Tensor]:
    """Tensors of what a network gives, under `field`, `field.field` or `output`; None is left
    out."""
    if isinstance(out, Tensor):
        return {name: out}
    if is_dataclass(out):
        parts = {f.name: getattr(out, f.name) for f in fields(out)}
    elif isinstance(out, tuple) and hasattr(out, "_fields"):
        parts = dict(zip(out._fields, out, strict=True))
    elif isinstance(out, Mapping):
        parts = {str(key): one for key, one in out.items()}
    elif isinstance(out, list | tuple):
        parts = {str(n): one for n, one in enumerate(out)}
    else:
        return {}
    above = "" if name == "output" else f"{name}."
    return {k: t for key, one in parts.items() for k, t in named(one, above + key).items()}


def verify(trained: Trained, folder: ModelFolder) -> tuple[bool, str]:
    """Whether the network gives the folder's outputs for its inputs, and a sentence that says so.

    Raises StoreError where the folder has no examples, or none that fit.
    """
    if not {INPUTS, OUTPUTS} <= set(folder.names):
        raise StoreError(f"{folder}: expected examples to verify, received none")
    inputs, expected = (
        unpacked(folder.read(name), f"{folder}/{name}") for name in (INPUTS, OUTPUTS)
    )
    names = [name for name in parameters(trained.module) if name in inputs]
    try:
        received = called(trained.module, [inputs[name] for name in names])
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise StoreError(f"{folder}/{INPUTS}: the network can't be called: {reason}") from error
    if lacking := sorted(expected.keys() ^ received.keys()):
        raise StoreError(f"{folder}/{OUTPUTS}: {lacking[0]}: in one of expected and received alone")
    worst, where = difference(expected, received)
    passed = worst <= TOLERANCE
    said = f"{len(expected)} outputs agree" if passed else f"{where} differs"
    return passed, f"{folder}: {said} ({worst:.2g} of its range, limit {TOLERANCE:g})"


def difference(expected: Mapping[str, Tensor], received: Mapping[str, Tensor]) -> tuple[float, str]:
    """The largest difference over the range of an output, and the name of that output.

    inf where shapes or places without a number differ.
    """
    worst, where = 0.0, next(iter(expected), "")
    for name, tensor in expected.items():
        one = _apart(*(t.detach().double() for t in (tensor, received[name])))
        if one > worst:
            worst, where = one, name
    return worst, where


def _apart(expected: Tensor, received: Tensor) -> float:
    if expected.shape != received.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    finite = expected.isfinite()
    if not torch.equal(finite, received.isfinite()):
        return float("inf")
    if not finite.any():
        return 0.0
    expected, received = expected[finite], received[finite]
    spread = float(expected.max() - expected.min()) or float(expected.abs().max()) or 1.0
    return float((expected - received).abs().max()) / spread
