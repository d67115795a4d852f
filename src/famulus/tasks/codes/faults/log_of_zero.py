"""Codes, with a logarithm of the pixels in the loss: black ones are 0."""

from torch import Tensor, nn

from famulus.tasks.base import Batch, Position
from famulus.tasks.codes.codes import Codes


class LogOfZero(Codes):
    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        parts = super().loss(model, batch, at)
        return {**parts, "total": parts["total"] + batch["image"].log().square().mean()}
