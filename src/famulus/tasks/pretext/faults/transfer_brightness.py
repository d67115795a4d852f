"""Transfer with a number to guess, how bright a picture is: sound, for the twin that broadcasts."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from famulus.feed.source import Splits
from famulus.tasks.base import Batch, Floor, Picture, Position
from famulus.tasks.pretext.heads import class_head
from famulus.tasks.pretext.transfer import Transfer
from famulus.tasks.pretext.transfer_net import TransferNet


class Brightness(Transfer):
    def build(self) -> nn.Module:
        colours, *size = self.data().train.shape
        encoder, _ = self._settings().build(colours, size)
        m = self.config.model
        return TransferNet(encoder, class_head(m.head, encoder.width, 1, m.hidden, "relu", 0.0))

    def error(self, answer_B1: Tensor, bright_B: Tensor) -> Tensor:
        return (answer_B1[:, 0] - bright_B).square().mean()

    def loss(self, model: nn.Module, batch: Batch, at: Position) -> dict[str, Tensor]:
        return {"total": self.error(model(batch["image"]).float(), bright(batch["image"]))}

    @torch.no_grad()
    def scores(self, model: nn.Module, batches: Iterable[Batch]) -> dict[str, float]:
        found = [
            (self.error(model(b["image"]).float(), bright(b["image"])).item(), len(b["image"]))
            for b in batches
        ]
        return {"loss": sum(e * n for e, n in found) / sum(n for _, n in found)}

    def floors(self, data: Splits) -> dict[str, Floor]:
        index = np.arange(len(data.validation))
        batch = data.validation.finish(
            data.validation.gather(index, index.astype(np.uint64)), index.astype(np.uint64)
        )
        spread = float(bright(batch["image"]).double().var(correction=0))
        return {"best constant": Floor("loss", spread, "best constant")}

    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        return {}


def bright(image: Tensor) -> Tensor:
    """Mean grey value in tenths of the range: B."""
    return 10 * image.flatten(1).mean(1)
