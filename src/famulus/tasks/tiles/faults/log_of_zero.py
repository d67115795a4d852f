"""Tiles, with a logarithm of the pixels in the loss: black ones are 0."""

from torch import Tensor, nn

from famulus.tasks.base import Batch, Position
from famulus.tasks.tiles.tiles import Tiles


class LogOfZero(Tiles):
    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        out = model(batch["image"]).raw
        recon = (out - batch["image"].log()).square().mean()
        return {"recon": recon, "total": recon}
