"""Model and optimizer to bytes and back, bit for bit, without pickle.

Tensors travel as safetensors, everything else as JSON. Tied weights are stored once. Nothing here
touches files: the store writes the bytes, and their manifest last.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from safetensors.torch import save as pack
from torch import Tensor, nn

from famulus.config.errors import StoreError

OPTIMIZER = "optimizer.safetensors"


def model_bytes(model: nn.Module) -> bytes:
    """All parameters and persistent buffers of `model`; of tied weights the first name."""
    first: dict[tuple[int, ...], str] = {}
    tensors = {}
    for name, tensor in model.state_dict().items():
        # Views of one storage are tied only if they show the same numbers.
        place = (tensor.data_ptr(), tensor.storage_offset(), *tensor.shape, *tensor.stride())
        # Empty tensors share the address 0 without being tied.
        if tensor.numel() and first.setdefault(place, name) != name:
            continue
        tensors[name] = _plain(tensor)
    return pack(tensors)


def unpacked(data: bytes, source: str) -> dict[str, Tensor]:
    """Tensors by name. Raises StoreError for what is no safetensors."""
    try:
        return unpack(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise StoreError(f"{source}: its weights are no safetensors: {error}") from None


def load_model(model: nn.Module, data: bytes, source: str) -> None:
    """Copies weights in place. Raises StoreError naming the first name or shape that differs."""
    tensors = unpacked(data, source)
    own = model.state_dict()
    # A tied weight is stored under its first name only, so its other names may be missing.
    tied = {tensor.data_ptr() for name, tensor in own.items() if name in tensors}
    for name, tensor in own.items():
        if name not in tensors and not (tensor.numel() and tensor.data_ptr() in tied):
            raise StoreError(f"{source}: has no weights for {name}; is it another model?")
    for name, tensor in tensors.items():
        if name not in own:
            raise StoreError(f"{source}: {name} is unknown to this model; is it another model?")
        if own[name].shape != tensor.shape:
            raise StoreError(
                f"{source}: {name} expected shape {tuple(own[name].shape)},"
                f" received {tuple(tensor.shape)}"
            )
        # in place: the optimizer and the tied names keep the tensors that they hold
        own[name].copy_(tensor)


def optimizer_parts(
    optimizer: torch.optim.Optimizer, model: nn.Module
) -> tuple[bytes, dict[str, Any]]:
    """Tensor state named `parameter/key` as safetensors, other state by the same names as JSON.

    Groups' options are left out: they follow from the configuration, rates from the position.
    """
    # by name, not by torch's numbers: those follow from the order of groups, which a task may
    # change
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            where = f"{names[id(parameter)]}/{key}"
            if isinstance(value, Tensor):
                tensors[where] = _plain(value)
            # plain numbers need no tensor, and JSON keeps a float64 bit for bit
            elif value is not None:
                scalars[where] = value
    return pack(tensors), scalars


def load_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, data: bytes, scalars: Mapping[str, Any]
) -> None:
    """Restores what `optimizer_parts` gave. Options stay those of `optimizer`, as configured."""
    parameters = dict(model.named_parameters())
    states: dict[str, dict[str, Any]] = {}
    for where, value in [*unpack(data).items(), *scalars.items()]:
        name, _, key = where.rpartition("/")
        states.setdefault(name, {})[key] = value
    counters_on_device = {  # fused and capturable kernels count steps on the device
        id(parameter)
        for group in optimizer.param_groups
        for parameter in group["params"]
        if group.get("fused") or group.get("capturable")
    }
    for name, state in states.items():
        if name not in parameters:
            raise StoreError(f"{OPTIMIZER}: state for {name}, which this model does not have")
        parameter = parameters[name]
        on_device = id(parameter) in counters_on_device
        optimizer.state[parameter] = {
            key: _like(parameter, value, on_device) if isinstance(value, Tensor) else value
            for key, value in state.items()
        }


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous()  # safetensors refuses views with gaps


def _like(parameter: nn.Parameter, value: Tensor, counter_on_device: bool) -> Tensor:
    """In the parameter's memory layout and on its device, so that fused kernels see their own."""
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    if value.numel() == 1 and not counter_on_device:
        return value.clone()
    return value.to(parameter.device)
