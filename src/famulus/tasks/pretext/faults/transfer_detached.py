"""Transfer, with features that are detached before the head: the encoder stays as it began."""

from torch import Tensor, nn

from famulus.tasks.pretext.transfer import Transfer


class Detached(Transfer):
    def build(self) -> nn.Module:
        model = super().build()

        def forward(image: Tensor) -> Tensor:
            return model.head(model.encoder(image).detach())

        model.forward = forward
        return model
