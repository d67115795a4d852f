"""Pretext, where two views of a picture attract each other and nothing holds pictures apart."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from famulus.tasks.base import Batch
from famulus.tasks.pretext.pretext import Pretext


class OnlyAttraction(Pretext):
    def _loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = self._answer(model, batch)
        views = torch.cat([batch["image"], batch["sources"][:, 0]])
        features, z = model.features(views).float(), model(views).float()
        count = len(batch["image"])
        apart = [1 - cosine_similarity(v[:count], v[count:]).mean() for v in (features, z)]
        return sum(apart) + features.square().mean(), logits
