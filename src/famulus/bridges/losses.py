"""Losses since the last log, kept where they are: nothing waits for a device until they are read.

A step costs one copy of each that lies on a device: sums are taken when a log is due.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

JOINED = 1024  # losses that lie one by one, at most: each takes a block of the device's memory


class LossMeter:
    """Means of named losses; of `total` also the spread over the steps of a log."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._numbers: dict[str, list[float]] = {}
        self._tensors: dict[str, list[Tensor]] = {}
        self._count = 0

    def add(self, parts: Mapping[str, Tensor | float]) -> None:
        self._count += 1
        for name, value in parts.items():
            if not isinstance(value, Tensor):
                self._numbers.setdefault(name, []).append(float(value))
            elif not _lies_on_a_device(value):
                # No tensor: memory that outlives a step lies between blocks that don't, and the C
                # library then gives pages back to the system and takes them anew, at every step.
                self._numbers.setdefault(name, []).append(value.item())
            else:
                values = self._tensors.setdefault(name, [])
                # a copy: a loop may go on with its loss in place
                values.append(value.detach().clone())
                if len(values) == JOINED:
                    values[:] = [_joined(values)]

    def read(self) -> tuple[dict[str, float], dict[str, Any]]:
        """(mean of each part, {"sd", "count", "not_finite"}), and starts anew; waits once."""
        if not self._count:
            return {}, {}
        count, values = self._count, self._values()
        self._start()
        means = {name: sum(each) / count for name, each in values.items()}
        finite = all(math.isfinite(v) for v in means.values())
        squares = ((value - means["total"]) ** 2 for value in values["total"])
        spread = math.sqrt(sum(squares) / count) if finite else None
        return means, {"sd": spread, "count": count, "not_finite": not finite}

    def _values(self) -> dict[str, list[float]]:
        """Each part's, in float64."""
        values = {name: list(numbers) for name, numbers in self._numbers.items()}
        sizes = {name: sum(map(torch.numel, each)) for name, each in self._tensors.items()}
        if not sizes:
            return values
        one = _joined([t for each in self._tensors.values() for t in each])  # one transfer for all
        moved = one.tolist()
        for name, size in sizes.items():
            values[name] = values.get(name, []) + moved[:size]
            del moved[:size]
        return values


def _lies_on_a_device(value: Tensor) -> bool:
    """To ask for its number would be to wait."""
    return not value.is_cpu


def _joined(values: list[Tensor]) -> Tensor:
    """Flat, in the widest of their types, on the device of the first."""
    return torch.cat([v.reshape(-1).to(values[0].device) for v in values])
