"""Tiles, with a code that is detached on its way to the decoder: the encoder gets no gradient."""

from torch import Tensor, nn

from famulus.tasks.tiles.tiles import Tiles


class Detached(Tiles):
    def build(self) -> nn.Module:
        model = super().build()
        whole = model.decode

        def decode(code_BD: Tensor) -> Tensor:
            return whole(code_BD.detach())

        model.decode = decode
        return model
