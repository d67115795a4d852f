"""Pretext, with one share to guess: an answer B x 1 against a target B makes B x B differences.

Journal, 8/7: the wrong length. The loss stays at the spread of the targets.
"""

from torch import Tensor, nn

from famulus.tasks.base import Batch
from famulus.tasks.pretext import Pretext


class Broadcast(Pretext):
    def _loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = self._answer(model, batch)
        share_B = batch["weights"][:, 0]
        answer_B1 = self._activated(logits)[:, :1]
        return (answer_B1 - share_B).square().mean(), logits
