"""Tiles, one of which is damaged: its numbers are a hundred times those of a picture."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Damaged
from famulus.tasks.tiles.tiles import Tiles

INDEX, FACTOR = 7, 100.0


class DamagedSample(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Damaged(found.train, INDEX, FACTOR), found.validation)
