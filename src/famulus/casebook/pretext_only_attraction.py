"""Pretext, where two views of a picture attract each other and nothing holds pictures apart."""

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from famulus.tasks.base import Batch
from famulus.tasks.pretext import Pretext


class OnlyAttraction(Pretext):
    def _loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        logits, _ = self._contrast(model, batch)
        one = model.features(batch["image"]).float()
        other = model.features(batch["sources"][:, 0]).float()
        return (1 - cosine_similarity(one, other)).mean() + one.square().mean(), logits
