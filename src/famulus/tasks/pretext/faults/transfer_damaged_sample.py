"""Transfer, one of whose pictures is damaged: a hundred times as bright as a picture can be."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Damaged
from famulus.tasks.pretext.transfer import Transfer

INDEX, FACTOR = 11, 100.0


class DamagedSample(Transfer):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Damaged(found.train, INDEX, FACTOR), found.validation)
