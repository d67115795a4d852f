"""Tiles with cross-entropy, which applies the sigmoid, under a net that ends in one."""

from torch import Tensor, nn

from famulus.tasks.tiles.tiles import Tiles


class SigmoidTwice(Tiles):
    def build(self) -> nn.Module:
        model = super().build()
        whole = model.decode

        def decode(code_BD: Tensor) -> Tensor:
            return whole(code_BD).sigmoid()

        model.decode = decode
        return model
