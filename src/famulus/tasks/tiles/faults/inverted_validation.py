"""Tiles, drawn white on black for training and black on white for validation."""

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.tiles.tiles import Tiles


def invert(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    return {**batch, "image": 1 - batch["image"]}


class InvertedValidation(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(found.train, Changed(found.validation, invert, "inverted"))
