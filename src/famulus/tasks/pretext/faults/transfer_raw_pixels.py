"""Transfer on grey values as they are stored, 0 to 255, in a net that is started for 0 to 1."""

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.pretext.transfer import Transfer


def unscaled(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    return {**batch, "image": batch["image"] * 255}


class RawPixels(Transfer):
    def data(self) -> Splits:
        found = super().data()
        parts = (found.train, found.validation)
        return Splits(*(Changed(part, unscaled, "unscaled") for part in parts))
