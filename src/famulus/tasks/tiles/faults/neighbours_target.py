"""Tiles, rebuilt as their neighbour in the batch: targets that do not belong to their inputs."""

from torch import Tensor, nn

from famulus.tasks.base import Batch, Position
from famulus.tasks.tiles.tiles import Tiles


class NeighboursTarget(Tiles):
    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        out = model(batch["image"])
        target = batch["image"].roll(1, 0)
        recon = self._term.value(self._term.batch_mean(out.raw, target), out.log_scale)
        return {"recon": recon, "total": recon}
