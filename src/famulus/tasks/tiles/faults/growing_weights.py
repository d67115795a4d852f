"""Tiles, with weights three times their usual size in every layer: gradients grow on the way."""

import torch
from torch import nn

from famulus.tasks.tiles.tiles import Tiles


class GrowingWeights(Tiles):
    def build(self) -> nn.Module:
        model = super().build()
        with torch.no_grad():
            for layer in (*model.encoder, *model.decoder):
                if hasattr(layer, "weight"):
                    layer.weight.mul_(3.0)
        return model
