"""Tiles that take their time: every sample is decoded anew, a few milliseconds each."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Slow
from famulus.tasks.tiles.tiles import Tiles

DECODING_S = 0.001  # a sample


class SlowLoader(Tiles):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Slow(found.train, DECODING_S), found.validation)
