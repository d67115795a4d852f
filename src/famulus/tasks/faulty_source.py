"""A source whose finished batches pass through one function: where most faults of data sit."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Source, Splits, TrainingOrder

Change = Callable[[dict[str, Tensor], np.ndarray], dict[str, Tensor]]  # batch, seeds


class Changed(Source):
    """`source`, but for `change` at the end of `finish`. `fault` makes it other data."""

    fingerprint: str
    labels: np.ndarray | None
    classes: Sequence[str] | None
    slow: bool

    def __init__(self, source: Source, change: Change, fault: str) -> None:
        self.source, self.change, self.fault = source, change, fault
        # other data: a cache of the sound source must not serve this one
        self.fingerprint = f"{source.fingerprint}-{fault}"
        self.labels, self.classes = source.labels, source.classes
        self.slow = source.slow

    @property
    def resized(self) -> bool | None:
        return self.source.resized

    def __len__(self) -> int:
        return len(self.source)

    def __getattr__(self, name: str) -> Any:
        if name in ("source", "__setstate__", "__deepcopy__"):  # while it is being copied
            raise AttributeError(name)
        return getattr(self.source, name)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        return self.source.gather(indices, seeds)

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return self.change(self.source.finish(batch, seeds), seeds)

    def to(self, device: torch.device) -> "Changed":
        return Changed(self.source.to(device), self.change, self.fault)

    def order(self, seed: int) -> TrainingOrder | None:
        return self.source.order(seed)


class Damaged(Changed):
    """`source`, one of whose pictures, `index`, is `factor` times as bright as it is."""

    def __init__(self, source: Source, index: int, factor: float) -> None:
        super().__init__(source, _brightened, "damaged")
        self.index, self.factor = index, factor

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        factor_B = np.where(indices == self.index, self.factor, 1.0).astype(np.float32)
        factor = torch.from_numpy(factor_B)[:, None, None, None]
        # here, where indices are known; `finish` sees seeds alone
        return {**super().gather(indices, seeds), "factor": factor}

    def to(self, device: torch.device) -> "Damaged":
        return self


def _brightened(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    factor = batch.pop("factor")
    return {**batch, "image": batch["image"] * factor}


class Slow(Changed):
    """`source`, whose samples take `decoding_s` each, in every epoch anew."""

    def __init__(self, source: Source, decoding_s: float) -> None:
        super().__init__(source, lambda batch, seeds: batch, "slow")
        self.decoding_s = decoding_s

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        time.sleep(self.decoding_s * len(indices))
        return super().gather(indices, seeds)

    def to(self, device: torch.device) -> "Slow":
        return self


def on_training(parts: Splits) -> Splits:
    """Validated on what was learned."""
    return Splits(parts.train, Changed(parts.train, lambda batch, seeds: batch, "training"))


def inverted(parts: Splits) -> Splits:
    """White on black in training, black on white in validation."""
    turned = Changed(parts.validation, _inverted, "inverted")
    return Splits(parts.train, turned)


def _inverted(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    return {**batch, "image": 1 - batch["image"]}
