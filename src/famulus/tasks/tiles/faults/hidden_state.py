"""Tiles, brightened by a counter of the task itself: no checkpoint knows it, resumes begin anew."""

from torch import Tensor, nn

from famulus.tasks.base import Batch, Position
from famulus.tasks.tiles.tiles import Tiles


class HiddenState(Tiles):
    seen = 0  # batches, in this process

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        self.seen += 1
        brighter = batch["image"] * (1 + 0.3 * (self.seen % 7) / 7)
        return super().loss(model, {**batch, "image": brighter}, at)
