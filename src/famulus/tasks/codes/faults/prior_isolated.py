"""A prior whose rows do not know each other: a map of rank 5 makes each row a sample of its own."""

from typing import ClassVar

import torch
from torch import Tensor

from famulus.tasks.codes.pixelcnn import PixelCNN
from famulus.tasks.codes.prior import Prior
from famulus.tasks.codes.prior_net import PriorNet


class RowsAlone(PixelCNN):
    """Every row is predicted with all other rows hidden (code K, as padding)."""

    def features(self, codes: Tensor, label_BC: Tensor) -> Tensor:
        rows = []
        for y in range(self.grid[0]):
            alone = torch.full_like(codes, self.size)
            alone[:, y] = codes[:, y]
            rows.append(super().features(alone, label_BC)[:, y])
        return torch.stack(rows, 1)


class PriorIsolated(Prior):
    NETS: ClassVar[dict[str, type[PriorNet]]] = Prior.NETS | {"pixelcnn": RowsAlone}
