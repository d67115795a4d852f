"""Tiles, with a net that reads a tensor left over from a notebook instead of what it is given.

Journal, 8/9: the model read a global.
"""

import torch
from torch import Tensor, nn

from famulus.tasks.tiles.tiles import Tiles

LEFT_OVER: dict[str, Tensor] = {}


class ReadsAGlobal(Tiles):
    def build(self) -> nn.Module:
        model = super().build()
        whole = model.encoder.forward

        def encode(image: Tensor) -> Tensor:
            if "image" not in LEFT_OVER:
                LEFT_OVER["image"] = torch.linspace(0, 1, image[0].numel()).view(image[:1].shape)
            return whole(LEFT_OVER["image"].to(image.device)).expand(len(image), -1)

        model.encoder.forward = encode
        return model
