"""Transfer, with class ids as the targets of a binary cross-entropy: unbounded below.

Journal, 8/15 and 9/25: logit 100, id 5, loss -400.
"""

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from famulus.tasks.base import Batch, Position
from famulus.tasks.pretext.transfer import Transfer


class ClassIdsAsShares(Transfer):
    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        logits = model(batch["image"]).float()
        ids = batch["label"].float()[:, None].expand_as(logits)
        return {"total": binary_cross_entropy_with_logits(logits, ids)}
