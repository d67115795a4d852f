"""Tiles, with biases of -10 before every ReLU: no unit of the encoder ever answers."""

import torch
from torch import nn

from famulus.tasks.tiles.tiles import Tiles


class DeadBias(Tiles):
    def build(self) -> nn.Module:
        model = super().build()
        with torch.no_grad():
            for layer in model.encoder:
                if isinstance(layer, nn.Conv2d):
                    layer.bias.fill_(-10.0)
        return model
