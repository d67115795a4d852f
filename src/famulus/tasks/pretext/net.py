"""An encoder and a head, and how both meet a batch of pretext questions.

Shapes: B batch, N slots, C channels, Y X pixels, D features at y x places.
"""

import torch
from torch import Tensor, nn

from famulus.tasks.pretext.encoders import Encoder
from famulus.tasks.pretext.heads import average


class PretextNet(nn.Module):
    """logits of an image (class heads, projections) or of an image and its slots.

    One encoder call for the image and all slots: with batch norm, separate calls see other
    statistics, and a true copy lies 11 % away from its original. `shared=False` shows that.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, shared: bool = True) -> None:
        super().__init__()
        self.encoder, self.head, self.shared = encoder, head, shared

    def forward(self, image: Tensor, sources: Tensor | None = None) -> Tensor:
        if sources is None:
            return self.head(self.encoder(image))
        return self.head(*self.maps(image, sources))

    def maps(self, image: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
        """(BDyx, BNDyx)."""
        batch, slots = sources.shape[:2]
        # kept to show the fault: one call a slot, each with batch statistics of its own
        if not self.shared:
            each = [self.encoder(sources[:, n]) for n in range(slots)]
            return self.encoder(image), torch.stack(each, 1)
        both = self.encoder(torch.cat([image, sources.flatten(0, 1)]))
        return both[:batch], both[batch:].unflatten(0, (batch, slots))

    def features(self, image: Tensor) -> Tensor:
        """BD: what transfer uses."""
        return average(self.encoder(image))
