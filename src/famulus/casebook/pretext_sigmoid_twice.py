"""Pretext, with a sigmoid at the end of the net and another one in the loss.

Journal, 8/12: answers lie in .5 to .731, cross-entropy never falls below .503.
"""

from torch import Tensor, nn

from famulus.tasks.base import Batch
from famulus.tasks.pretext import Pretext


class SigmoidTwice(Pretext):
    def _answer(self, model: nn.Module, batch: Batch) -> Tensor:
        return super()._answer(model, batch).sigmoid()
