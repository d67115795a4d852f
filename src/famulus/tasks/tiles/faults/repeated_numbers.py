"""Tiles with noise from a generator that is made with the source: its copies repeat each other.

Journal, 10/11: workers shared their random numbers.
"""

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.tiles.tiles import Tiles


class Noisy(Changed):
    def __init__(self, source: object) -> None:
        super().__init__(source, self.noisy, "noisy")
        self.random = np.random.default_rng(0)

    def noisy(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        noise = self.random.normal(0.0, 0.2, tuple(batch["image"].shape)).astype(np.float32)
        return {**batch, "image": (batch["image"] + torch.from_numpy(noise)).clamp(0, 1)}

    def to(self, device: torch.device) -> "Noisy":
        return self


class RepeatedNumbers(Tiles):
    def data(self) -> Splits:
        if not hasattr(self, "_with_noise"):
            found = super().data()
            self._with_noise = Splits(Noisy(found.train), found.validation)
        return self._with_noise
