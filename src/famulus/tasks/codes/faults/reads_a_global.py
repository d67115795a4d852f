"""Codes, with an encoder that looks at a picture of its own, whatever it is handed."""

import torch
from torch import Tensor, nn

from famulus.tasks.codes.codes import Codes


class ReadsAGlobal(Codes):
    def build(self) -> nn.Module:
        model = super().build()
        whole = model.encoder.forward

        def encode(image: Tensor) -> Tensor:
            own = torch.linspace(0, 1, image[0].numel(), device=image.device)
            return whole(own.view(image[:1].shape)).expand(len(image), -1, -1, -1)

        model.encoder.forward = encode
        return model
