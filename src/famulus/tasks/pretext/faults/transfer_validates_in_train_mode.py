"""Transfer, validated in training mode: dropout and the norms of each batch stay on."""

from collections.abc import Iterable

from torch import nn

from famulus.tasks.base import Batch
from famulus.tasks.pretext.transfer import Transfer


class ValidatesInTrainMode(Transfer):
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        return super().scores(model.train(), batches)
