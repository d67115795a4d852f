"""Pretext, asked about its neighbour in the batch: targets that do not belong to their inputs."""

from torch import Tensor

from famulus.tasks.base import Batch
from famulus.tasks.pretext.pretext import Pretext


class NeighboursTarget(Pretext):
    def _target(self, batch: Batch) -> Tensor:
        return super()._target(batch).roll(1, 0)
