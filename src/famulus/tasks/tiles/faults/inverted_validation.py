"""Tiles, drawn white on black for training and black on white for validation."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import inverted
from famulus.tasks.tiles.tiles import Tiles


class InvertedValidation(Tiles):
    def data(self) -> Splits:
        return inverted(super().data())
