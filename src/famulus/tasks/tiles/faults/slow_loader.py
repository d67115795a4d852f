"""Tiles that take their time: every sample is decoded anew, a few milliseconds each."""

import time

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.tiles.tiles import Tiles

DECODING_S = 0.001  # a sample


class SlowLoader(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Slow(found.train, lambda batch, seeds: batch, "slow"), found.validation)


class Slow(Changed):
    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        time.sleep(DECODING_S * len(indices))
        return super().gather(indices, seeds)

    def to(self, device: object) -> "Slow":
        return self
