"""A codebook's use, found where a layer takes vectors that are its rows (van den Oord et al. 2017,
arXiv 1711.00937), whoever wrote the quantizer.

Shapes: N vectors of D numbers, K codes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from famulus.diagnosis.graph import SHAPES, inputs, name
from famulus.diagnosis.probes.layers import torchs_own
from famulus.diagnosis.probes.tensors import evenly

FIGURES = ("perplexity", "used", "size", "vectors", "apart")
SUMS = ("Add", "Sub")
LEAST = 4  # codes, and numbers of one: smaller tables are scales and offsets
MOST = 2048  # vectors that are looked at
PRODUCTS = 50_000_000  # at most, between vectors and codes: of a large table fewer vectors
# of the vectors' mean square: an average that moves in the forward pass has moved by a hundredth
APART = 0.01


def tables(net: nn.Module) -> list[Tensor]:
    """The (K, D) parameters and buffers of embeddings and of modules that are not torch's own."""
    found = []
    for module in net.modules():
        if isinstance(module, nn.Embedding) or not torchs_own(module):
            own = [*module._parameters.values(), *module._buffers.values()]
            found += [t for t in own if t is not None and _is_table(t)]
    return found


def _is_table(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dim() == 2 and min(tensor.shape) >= LEAST


@torch.no_grad()
def use(value: Tensor, codebooks: list[Tensor]) -> Tensor | None:
    """`FIGURES`, (5,), of the codebook whose rows a layer's input lies nearest to; None where none
    has rows of its size, or where the input is no result of a lookup by distance.

    apart: mean squared distance to the nearest row, over the vectors' mean square: beyond `APART`
    the vectors are no rows of it.
    """
    if not _straight_through(value):
        return None
    best = []
    for table in codebooks:
        if table.device != value.device:
            continue
        most = min(MOST, PRODUCTS // table.numel())
        for vectors in _vectors(value.detach(), table.shape[1]) if most else ():
            some = vectors[:: evenly(len(vectors), most)]
            best.append(_use(some.float(), table.detach().float()))
    return nearest(*best) if best else None


def _straight_through(value: Tensor) -> bool:
    """Is it z + (code - z).detach(), written in whatever way, or a code without any gradient?

    The gradient then goes to one operand of a sum, past the other. Of words and labels, which are
    looked up by their ids, it goes to the table.
    """
    node = value.grad_fn
    while node is not None and name(node) in SHAPES and len(inputs(node)) == 1:
        node = inputs(node)[0]
    if node is None:
        return not value.requires_grad
    return name(node) in SUMS and len(node.next_functions) == 2 and len(inputs(node)) == 1


def nearest(*figures: Tensor) -> Tensor:
    """Of several, (5,) each, those of the vectors that lie least apart from their rows."""
    rows = torch.stack([one.to(figures[0].device) for one in figures])
    return rows[rows[:, -1].argmin()]


def _vectors(value: Tensor, width: int) -> Iterator[Tensor]:
    """(N, D) that a value holds along its channels or its last axis, or flattened either way."""
    if value.dim() > 2 and value.shape[1] == width:
        yield value.movedim(1, -1).reshape(-1, width)
    elif value.dim() > 1 and value.shape[-1] == width:
        yield value.reshape(-1, width)
    elif value.dim() == 2 and value.shape[1] % width == 0:
        yield value.reshape(-1, width)
        yield value.unflatten(1, (width, -1)).movedim(1, -1).reshape(-1, width)


def _use(vectors: Tensor, table: Tensor) -> Tensor:
    squares, nearest = torch.cdist(vectors, table).square().min(1)
    counts = torch.zeros(len(table), device=table.device).scatter_add_(
        0, nearest, torch.ones_like(squares)
    )
    share = counts / counts.sum()
    perplexity = (-torch.special.xlogy(share, share).sum()).exp()
    size, count = (torch.full_like(perplexity, len(t)) for t in (table, vectors))
    apart = squares.mean() / vectors.square().sum(1).mean().clamp_min(1e-30)
    return torch.stack([perplexity, (counts > 0).sum().to(share), size, count, apart])


def of_codes(ids: Tensor, size: int | None) -> dict[str, float]:
    """The same figures of code ids of any shape; waits for the device."""
    counts = ids.flatten().unique(return_counts=True)[1].double()
    share = counts / counts.sum()
    perplexity = float((-torch.special.xlogy(share, share).sum()).exp())
    found = {"perplexity": perplexity, "used": float(len(counts)), "vectors": float(ids.numel())}
    return found | ({"size": float(size)} if size else {})
