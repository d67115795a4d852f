"""Transfer, whose pictures take a millisecond each to decode, in every epoch anew."""

import time

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.pretext.transfer import Transfer

DECODING_S = 0.001  # a picture


class Slow(Changed):
    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        time.sleep(DECODING_S * len(indices))
        return super().gather(indices, seeds)

    def to(self, device: object) -> "Slow":
        return self


class SlowLoader(Transfer):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Slow(found.train, lambda batch, seeds: batch, "slow"), found.validation)
