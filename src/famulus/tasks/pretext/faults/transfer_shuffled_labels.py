"""Transfer, whose labels were shuffled against their pictures: there is nothing to be learned."""

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Splits
from famulus.tasks.faulty_source import Changed
from famulus.tasks.pretext.transfer import Transfer


class Shuffled(Changed):
    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        order = np.random.default_rng(0).permutation(len(self))
        labels = torch.from_numpy(self.source.labels[order[indices]])
        return {**super().gather(indices, seeds), "label": labels}

    def to(self, device: torch.device) -> "Shuffled":
        return self


class ShuffledLabels(Transfer):
    def data(self) -> Splits:
        found = super().data()
        parts = (found.train, found.validation)
        return Splits(*(Shuffled(part, lambda batch, seeds: batch, "shuffled") for part in parts))
