"""Convolution and max-pooling of large maps on a CPU, a few samples at a time.

The map between the two is eight times (3D) what leaves the pooling: 67 MB for 16 cubes of 32^3
and 32 channels. glibc returns blocks above 32 MiB to the system when they are freed, so every step
touches all of their pages anew, forward and backward, which costs more than the arithmetic. In
pieces of `PIECE` bytes the map stays in cache and is never stored: the same numbers but for the
order in which a weight's gradient is summed, a third of the time and an eighth of the memory.

Shapes: B batch, C channels, S sizes (Y, X or Z, Y, X), W weights. Kernel 2 and stride 2 of pooling.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

# glibc's largest dynamic threshold
LARGE = 32 << 20  # bytes that malloc maps for each use, and unmaps
PIECE = 8 << 20

POOL: dict[int, Any] = {2: F.max_pool2d, 3: F.max_pool3d}  # by the number of sizes


def conv_pool(x: Tensor, conv: nn.Module, pool: nn.Module) -> Tensor:
    """pool(conv(x)) by the faster of two ways: B C S/2. `pool` is max-pooling by 2."""
    per_sample = 4 * conv.out_channels * math.prod(x.shape[2:])  # stride 1 keeps the sizes
    # on a GPU the allocator keeps its blocks, and pieces would only be more launches
    large = x.device.type == "cpu" and x.shape[0] * per_sample > LARGE
    # autocast would choose another type inside than the one that is saved for backward
    plain = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if not (large and plain and _same_sizes(conv)):
        return pool(conv(x))
    return _InPieces.apply(x, conv.weight, conv.bias, conv.padding, max(1, PIECE // per_sample))


def _same_sizes(conv: nn.Module) -> bool:
    """Whether `conv` is an ordinary one that keeps its input's sizes."""
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    if conv.groups > 1 or not zeros or {*conv.stride, *conv.dilation} != {1}:
        return False
    return all(k == 2 * p + 1 for k, p in zip(conv.kernel_size, conv.padding, strict=True))


class _InPieces(torch.autograd.Function):
    """x BCS, weight, bias, padding, samples of a piece -> B C' S/2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding, samples: int) -> Tensor:
        dims = x.ndim - 2
        conv = {2: F.conv2d, 3: F.conv3d}[dims]
        pooled, places = [], []
        for piece in x.split(samples):
            out, place = POOL[dims](conv(piece, weight, bias, 1, padding), 2, return_indices=True)
            pooled.append(out)
            # half of int64's memory
            places.append(place.to(torch.int32))  # flat in the sizes of one channel
        ctx.save_for_backward(x, weight, *places)
        ctx.padding, ctx.samples = padding, samples
        return torch.cat(pooled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor):
        x, weight, *places = ctx.saved_tensors
        dims = x.ndim - 2
        inputs_too, weight_too, bias_too = ctx.needs_input_grad[:3]
        by_weight = torch.zeros_like(weight)
        by_input: list[Tensor] = []
        pieces = zip(x.split(ctx.samples), grad.split(ctx.samples), places, strict=True)
        # nothing is asked for where the first layer is frozen and its input is data
        for piece, part, place in pieces if inputs_too or weight_too else ():
            full = part.new_zeros(*part.shape[:2], math.prod(x.shape[2:]))
            full.scatter_(2, place.flatten(2).long(), part.flatten(2))
            one = [1] * dims
            found = torch.ops.aten.convolution_backward(
                full.view(*part.shape[:2], *x.shape[2:]), piece, weight, None,
                one, list(ctx.padding), one, False, [0] * dims, 1, [inputs_too, weight_too, False],
            )  # fmt: skip
            by_input.append(found[0])
            if weight_too:
                by_weight += found[1]
        return (
            torch.cat(by_input) if inputs_too else None,
            by_weight if weight_too else None,
            # the maximum passes each gradient on exactly once: its sum is that of the full map's
            grad.sum((0, *range(2, grad.ndim))) if bias_too else None,
            None,
            None,
        )
