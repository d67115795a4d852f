"""Transfer, whose validation split is its training split."""

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import on_training
from famulus.tasks.pretext.transfer import Transfer


class ValidatesOnTraining(Transfer):
    def data(self) -> Splits:
        return on_training(super().data())
