"""A prior that is sampled as in the first attempts: one pass over the whole map for each code."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.prior import Prior
from famulus.tasks.codes.prior_net import PriorNet


class Uncached(PixelCNN):
    """`advance` forgets all that was computed for the places before."""

    def start(self, batch: int, label_B: Tensor | None, device: torch.device) -> Any:
        shape = (batch, *self.grid, self.per_place)
        return torch.full(shape, self.size, device=device), self._label(label_B, batch)

    def advance(self, state: Any, place: int) -> Tensor:
        return self.features(*state).flatten(1, 2)[:, place]

    def put(self, state: Any, place: int, codes_BH: Tensor) -> None:
        state[0].flatten(1, 2)[:, place] = codes_BH


class PriorUncached(Prior):
    NETS: ClassVar[dict[str, type[PriorNet]]] = Prior.NETS | {"pixelcnn": Uncached}
