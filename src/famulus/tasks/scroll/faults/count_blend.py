"""Windows are added up by Hann weights and divided by how many there are (scroll journal, 256)."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from famulus.tasks.base import Batch, SelfTest
from famulus.tasks.scroll import blend
from famulus.tasks.scroll.scroll import ScrollTask


@contextmanager
def by_counts() -> Iterator[None]:
    """Weights above, their number below: they no longer sum to one."""
    sound = blend.partition

    def counted(length: int, starts_N: np.ndarray, window_P: np.ndarray) -> np.ndarray:
        return sound(length, starts_N, np.ones_like(window_P)) * window_P

    blend.partition = counted
    try:
        yield
    finally:
        blend.partition = sound


class ScrollCountBlend(ScrollTask):
    def self_tests(self, model: nn.Module, batch: Batch) -> Iterable[SelfTest]:
        with by_counts():
            return list(super().self_tests(model, batch))

    def apply(self, model: nn.Module, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
        with by_counts():
            super().apply(model, inputs, out, options)
