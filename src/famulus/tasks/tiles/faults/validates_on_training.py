"""Tiles, whose validation split is a part of the training split."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import on_training
from famulus.tasks.tiles.tiles import Tiles


class ValidatesOnTraining(Tiles):
    def data(self) -> Splits:
        return on_training(super().data())
