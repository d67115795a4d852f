"""Transfer, whose validation split numbers its classes from its own list, in another order.

Journal, 9/27: 20 ids in training, 10 in validation, none of them the same.
"""

import numpy as np
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.pretext.transfer import Transfer


class LabelsRenumbered(Transfer):
    def data(self) -> Splits:
        found = super().data()
        count = len(found.train.classes)

        def renumber(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
            return {**batch, "label": (batch["label"] + 1) % count}

        return Splits(found.train, Changed(found.validation, renumber, "renumbered"))
