"""Losses since the last log, kept on the device: nothing waits until they are read."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class LossMeter:
    """Means of named losses; of `total` also the spread over the steps of a log."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._sums: dict[str, Any] = {}
        self._squares: Any = 0.0
        self._count = 0

    def add(self, parts: dict[str, Tensor | float]) -> None:
        self._count += 1
        for name, value in parts.items():
            value = _wide(value)
            self._sums[name] = self._sums.get(name, 0.0) + value
            if name == "total":
                self._squares = self._squares + value * value

    def read(self) -> tuple[dict[str, float], dict[str, Any]]:
        """(mean of each part, {"sd", "count", "not_finite"}), and starts anew; waits once."""
        if not self._count:
            return {}, {}
        names, count = list(self._sums), self._count
        values = [*self._sums.values(), self._squares]
        on_device = [v for v in values if isinstance(v, Tensor)]
        moved = iter(torch.stack(on_device).tolist() if on_device else [])  # one transfer for all
        plain = [next(moved) if isinstance(v, Tensor) else float(v) for v in values]
        self._start()
        means = {name: total / count for name, total in zip(names, plain, strict=False)}
        finite = all(math.isfinite(v) for v in means.values())
        # rounding may leave it just below 0
        spread = math.sqrt(max(0.0, plain[-1] / count - means["total"] ** 2)) if finite else None
        return means, {"sd": spread, "count": count, "not_finite": not finite}


def _wide(value: Tensor | float) -> Tensor | float:
    """In float64 where the device has it; sums of thousands of losses need the digits."""
    if not isinstance(value, Tensor):
        return float(value)
    value = value.detach().reshape(())
    return value.float() if value.device.type == "mps" else value.double()
