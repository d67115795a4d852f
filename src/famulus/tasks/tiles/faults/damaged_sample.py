"""Tiles, one of which is damaged: its numbers are a hundred times those of a picture."""

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.tiles.tiles import Tiles

INDEX, FACTOR = 7, 100.0


class Damaged(Changed):
    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        factor = torch.from_numpy(np.where(indices == INDEX, FACTOR, 1.0).astype(np.float32))
        return {**super().gather(indices, seeds), "factor": factor[:, None, None, None]}

    def to(self, device: torch.device) -> "Damaged":
        return self


def damage(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    factor = batch.pop("factor")
    return {**batch, "image": batch["image"] * factor}


class DamagedSample(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Damaged(found.train, damage, "damaged"), found.validation)
