"""A limit on what a network built from a stranger's settings may allocate."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from famulus.config.errors import StoreError

SINGLE, TOTAL = 256 << 20, 1 << 30  # bytes that are always allowed: one tensor, all that are made
MARGIN = 8  # times the bytes of the weights: self tests and second copies need some
MADE = (
    "empty",
    "zeros",
    "ones",
    "full",
    "rand",
    "randn",
)  # functions whose first argument is a size
WIDEST = 8  # bytes of one number


@contextmanager
def bounded(weights: int, where: str) -> Iterator[None]:
    """Within it a network of far more than `weights` bytes is a StoreError before its memory is
    touched: weights that fit it could never have come from this file."""
    with _Bounded(max(SINGLE, MARGIN * weights), max(TOTAL, MARGIN * weights), where):
        yield


class _Bounded(TorchDispatchMode):
    def __init__(self, single: int, total: int, where: str) -> None:
        super().__init__()
        self.single, self.total, self.where = single, total, where
        self.made = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        made = name in MADE and bool(args) and isinstance(args[0], list | tuple)
        if made:
            # before the call: some of them write to all of their memory
            self._check(WIDEST * math.prod(int(n) for n in args[0]))
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                size = leaf.numel() * leaf.element_size()
                self._check(size)
                self.made += size * made
        if self.made > self.total:
            self._refuse(self.made)
        return out

    def _check(self, size: int) -> None:
        if size > 2 * self.single:
            self._refuse(size)

    def _refuse(self, size: int) -> None:
        raise StoreError(
            f"{self.where}: its settings describe a network of more than {size / 1e6:,.0f} MB, its"
            " weights are far smaller: they don't belong together"
        )
