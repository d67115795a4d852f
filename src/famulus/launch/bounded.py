"""A limit on what a network built from a stranger's settings may allocate."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from famulus.config.errors import StoreError

SINGLE, TOTAL = 512 << 20, 1 << 30  # bytes that are always allowed: one tensor, all that are made
MARGIN = 16  # times the bytes of the weights: self tests and second copies need some
MADE = ("empty", "zeros", "ones", "full", "rand", "randn", "eye")  # begin with a size
WIDEST = 8  # bytes of one number


@contextmanager
def bounded(weights: int, where: str) -> Iterator[None]:
    """Within it a network of far more than `weights` bytes is a StoreError before its memory is
    touched: weights that fit it could never have come from this file."""
    with _Bounded(max(SINGLE, MARGIN * weights), max(TOTAL, MARGIN * weights), where):
        yield


# Of calls, not of kernels: a mode of kernels takes seconds to import.
class _Bounded(TorchFunctionMode):
    def __init__(self, single: int, total: int, where: str) -> None:
        super().__init__()
        self.single, self.total, self.where = single, total, where
        self.made = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        made = getattr(func, "__name__", "") in MADE
        if made:
            # before the call: some of them write to all of their memory
            self._check(WIDEST * _numbers(args, kwargs or {}))
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            size = out.numel() * out.element_size()
            self._check(size)
            self.made += size * made
            if self.made > self.total:
                self._refuse(self.made)
        return out

    def _check(self, size: int) -> None:
        if size > self.single:
            self._refuse(size)

    def _refuse(self, size: int) -> None:
        raise StoreError(
            f"{self.where}: its settings describe a network of more than {size / 1e6:,.0f} MB, its"
            " weights are far smaller: they don't belong together"
        )


def _numbers(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of a tensor made by `empty(2, 3)`, `empty((2, 3))` or `empty(size=(2, 3))`."""
    size = kwargs.get("size", args[0] if args and not isinstance(args[0], int) else args)
    return math.prod(n for n in size if isinstance(n, int)) if isinstance(size, Sequence) else 0
