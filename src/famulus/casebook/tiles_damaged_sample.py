"""Tiles, one of which is damaged: its numbers are a hundred times those of a picture."""

import numpy as np
from torch import Tensor

from famulus.casebook._source import Changed
from famulus.data.source import Splits
from famulus.tasks.tiles import Tiles

DAMAGED = 7  # index


def damage(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    wrong = (batch["index"] == DAMAGED)[:, None, None, None]
    return {**batch, "image": batch["image"].where(~wrong, batch["image"] * 100)}


class DamagedSample(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Changed(found.train, damage, "damaged"), found.validation)
