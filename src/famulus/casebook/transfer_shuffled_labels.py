"""Transfer, whose labels were shuffled against their pictures: there is nothing to be learned."""

import numpy as np
import torch
from torch import Tensor

from famulus.casebook._source import Changed
from famulus.data.source import Splits
from famulus.tasks.transfer import Transfer


class ShuffledLabels(Transfer):
    def data(self) -> Splits:
        found = super().data()
        return Splits(*(_shuffled(part) for part in (found.train, found.validation)))


def _shuffled(part: object) -> Changed:
    labels = torch.from_numpy(np.random.default_rng(0).permutation(part.matched))

    def shuffle(batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return {**batch, "label": labels[batch["index"].cpu()].to(batch["label"].device)}

    return Changed(part, shuffle, "shuffled")
