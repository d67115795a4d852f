"""Tiles, with an optimizer that was handed the decoder alone: the encoder stays as it began."""

from typing import Any

from torch import nn

from famulus.tasks.tiles.tiles import Tiles


class PartOfTheNet(Tiles):
    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(model.decoder.parameters())}]
