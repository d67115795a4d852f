"""Transfer, whose pictures take a millisecond each to decode, in every epoch anew."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Slow
from famulus.tasks.pretext.transfer import Transfer

DECODING_S = 0.001  # a picture


class SlowLoader(Transfer):
    def data(self) -> Splits:
        found = super().data()
        return Splits(Slow(found.train, DECODING_S), found.validation)
