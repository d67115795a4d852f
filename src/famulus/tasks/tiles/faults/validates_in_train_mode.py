"""Tiles, validated in training mode: dropout stays on, and two validations differ.

Journal: validation sets train(True).
"""

from collections.abc import Iterable

from torch import nn

from famulus.tasks.base import Batch
from famulus.tasks.tiles.tiles import Tiles


class ValidatesInTrainMode(Tiles):
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        model.train(True)
        return super().scores(model, batches)
