"""What the loop needs to know of data: a length, a fingerprint, and a vectorised gather."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor


@runtime_checkable
class Source(Protocol):
    """Samples by index.

    `gather` is vectorised: it returns raw tensors (uint8 stays uint8), each with the batch first.
    `finish` runs on the device: cast, scale, augment. `seeds` holds one integer a sample, derived
    from (seed, epoch, index), so that any number of workers gives the same batches.
    """

    fingerprint: str  # hash of the raw bytes and the recipe (size, filter, subset, ...)

    def __len__(self) -> int: ...

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]: ...

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]: ...

    def to(self, device: torch.device) -> "Source":
        """The same samples, resident on `device` if they fit there; else `self`."""
        ...


@dataclass(frozen=True)
class Splits:
    """The fixed training and validation samples, and what was noticed while reading them."""

    train: Source
    validation: Source
    notes: list[str] = field(default_factory=list)  # quarantined files, near-duplicates, ...

    @property
    def fingerprint(self) -> str:
        return f"{self.train.fingerprint}-{self.validation.fingerprint}"
