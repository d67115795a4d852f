"""Transfer, with a running mean of its losses that no checkpoint knows, and that the loss uses."""

from torch import Tensor, nn

from famulus.tasks.base import Batch, Position
from famulus.tasks.pretext.transfer import Transfer


class HiddenState(Transfer):
    usual = 0.0

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        total = super().loss(model, batch, at)["total"]
        self.usual = 0.5 * self.usual + 0.5 * float(total.detach())
        return {"total": total * (1 + self.usual)}
