"""Tiles, whose pictures are each stretched from their least to their largest value for display.

Journal of codes, line 681: dark pictures looked bright, and bright ones dark.
"""

import numpy as np
from torch import nn

from famulus.tasks.base import Batch, Picture
from famulus.tasks.tiles import Tiles


class StretchedPictures(Tiles):
    def pictures(self, model: nn.Module, fixed: Batch) -> dict[str, Picture]:
        return {
            name: Picture({label: _stretched(row) for label, row in picture.rows.items()})
            for name, picture in super().pictures(model, fixed).items()
        }


def _stretched(row: np.ndarray) -> np.ndarray:
    low, high = float(row.min()), float(row.max())
    return ((row - low) * (255 / max(high - low, 1.0))).astype(np.uint8)
