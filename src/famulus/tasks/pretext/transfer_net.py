"""An encoder under a new head, with a part of it frozen.

Shapes: B batch, K classes. Parts thaw from the head downwards; what is frozen keeps its batch-norm
statistics too, also after the trainer's own `train()`.
"""

from torch import Tensor, nn

from famulus.tasks.pretext.encoders import Encoder
from famulus.tasks.pretext.freezing import hold, thaw_to
from famulus.tasks.pretext.heads import average


class TransferNet(nn.Module):
    """Logits BK. `frozen` stages of the encoder, from the picture on, are not trained."""

    def __init__(self, encoder: Encoder, head: nn.Module, frozen: int = 0) -> None:
        super().__init__()
        self.encoder, self.head, self.frozen = encoder, head, frozen
        self.thaw(frozen)

    @property
    def stages(self) -> list[nn.Module]:
        return list(self.encoder.stages)

    def thaw(self, frozen: int) -> None:
        """`frozen` stages stay as they are, the others are trained."""
        self.frozen = frozen
        thaw_to(self.stages, frozen, self.training)

    def train(self, mode: bool = True) -> "TransferNet":
        super().train(mode)
        if hasattr(self, "frozen"):
            # after super: it has just put every part in training mode
            hold(self.stages, self.frozen)
        return self

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.encoder(image))

    def features(self, image: Tensor) -> Tensor:
        """BD."""
        return average(self.encoder(image))
