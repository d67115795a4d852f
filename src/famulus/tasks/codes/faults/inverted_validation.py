"""Codes, of pictures white on black in training and black on white in validation."""

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.codes.codes import Codes
from famulus.tasks.faulty_source import Changed


def invert(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
    return {**batch, "image": 1 - batch["image"]}


class InvertedValidation(Codes):
    def data(self) -> Splits:
        found = super().data()
        return Splits(found.train, Changed(found.validation, invert, "inverted"))
