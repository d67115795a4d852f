"""Heads on a map of features: which slot belongs to the image, which class, which embedding.

Shapes: B batch, N slots, D features, y x places, K classes, E embedding.
Comparing heads take `image` BDyx and `sources` BNDyx and give logits BN. They treat all slots
alike: permuting the slots permutes the logits. Class heads take BDyx and give BK.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from famulus.nets.layers import activation


def average(map_BDyx: Tensor) -> Tensor:
    """BD: mean over the places. Works behind any number of leading axes, also for a batch of 1."""
    return map_BDyx.mean((-2, -1))


def concat_pool(map_BDyx: Tensor) -> Tensor:
    """B,2D: mean and maximum over the places."""
    return torch.cat([map_BDyx.mean((-2, -1)), map_BDyx.amax((-2, -1))], -1)


def inverse_sigmoid(p: float) -> float:
    """ln p / (1 - p): the bias with which an untrained net answers p. Raises ValueError at 0, 1."""
    if not 0 < p < 1:
        raise ValueError(f"expected a probability between 0 and 1, received {p}")
    return math.log(p / (1 - p))


def start_at_prior(linear: nn.Linear, p: float | None) -> None:
    """The last layer answers `p` for every input at first; None leaves it as it is."""
    if p is not None:
        nn.init.constant_(linear.bias, inverse_sigmoid(p))


class RowNorm(nn.Module):
    """Batch norm of the last axis over all others: never one statistic for each slot."""

    def __init__(self, width: int, affine: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, -2)).view_as(x)


# -- comparing heads ----------------------------------------------------------------------------


class DotHead(nn.Module):
    """Product of pooled features, nothing learned: large at first (initial BCE about 47)."""

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        return (average(image)[:, None] * average(sources)).sum(-1)


class ProductMLPHead(nn.Module):
    """The journal's: concat-pool, product with each slot, then an MLP."""

    def __init__(
        self, width: int, hidden: int, act: str, norm: bool, dropout: float, prior: float | None
    ) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        start_at_prior(last, prior)
        self.mlp = nn.Sequential(
            *([RowNorm(2 * width)] if norm else []),
            nn.Linear(2 * width, hidden),
            *([RowNorm(hidden)] if norm else []),
            activation(act),
            nn.Dropout(dropout),
            last,
        )

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        return self.mlp(concat_pool(image)[:, None] * concat_pool(sources))[..., 0]


class CosineHead(nn.Module):
    """scale * cosine + bias of normalised, centred projections; the temperature is learned."""

    def __init__(self, width: int, embedding: int, prior: float | None) -> None:
        super().__init__()
        self.norm = RowNorm(width)
        self.project = nn.Linear(width, embedding)
        # learned in logarithms, so that it stays positive; cosines alone cap a softmax
        self.log_scale = nn.Parameter(torch.tensor(math.log(5.0)))
        self.bias = nn.Parameter(torch.tensor(0.0 if prior is None else inverse_sigmoid(prior)))

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        # centred together: features of different pictures have cosines near 1 by their common mean
        both = torch.cat([average(image)[:, None], average(sources)], 1)  # one call of the norm
        z = self.project(self.norm(both))
        alike = cosine_similarity(z[:, :1], z[:, 1:], dim=-1)
        # a limit as is usual for learned temperatures: beyond it the softmax is a step
        return self.log_scale.clamp(max=math.log(100.0)).exp() * alike + self.bias


class DistanceHead(nn.Module):
    """Minus the Euclidean distance of projections: for the margin loss."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = RowNorm(width)
        self.project = nn.Linear(width, embedding)

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        both = torch.cat([average(image)[:, None], average(sources)], 1)
        # distances of about 1 at first, whatever the width: the margin is in that unit
        z = self.project(self.norm(both)) / math.sqrt(self.project.out_features)
        # a root has no slope at 0, which a copied source reaches
        return -((z[:, :1] - z[:, 1:]).square().sum(-1) + 1e-12).sqrt()


class PairHead(nn.Module):
    """An MLP on [m s, |m - s|, s - mean s, m - mean s] of normalised projections m, s."""

    def __init__(self, width: int, embedding: int, hidden: int, prior: float | None) -> None:
        super().__init__()
        self.project = nn.Sequential(
            RowNorm(width), nn.Linear(width, embedding), nn.LayerNorm(embedding)
        )
        last = nn.Linear(hidden, 1)
        start_at_prior(last, prior)
        self.mlp = nn.Sequential(
            nn.Linear(4 * embedding, hidden), nn.GELU(), nn.LayerNorm(hidden), last
        )

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        z = self.project(torch.cat([average(image)[:, None], average(sources)], 1))
        m, s = z[:, :1], z[:, 1:]
        centre = s.mean(1, keepdim=True)
        # against the mean of the slots: what all sources share says nothing
        pair = torch.cat([m * s, (m - s).abs(), s - centre, (m - centre).expand_as(s)], -1)
        return self.mlp(pair)[..., 0]


class LocalHead(nn.Module):
    """Compares place by place before it pools: for sources that are aligned with the image."""

    def __init__(self, width: int, embedding: int, hidden: int, prior: float | None) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(width, embedding, 1), nn.BatchNorm2d(embedding, affine=False)
        )
        last = nn.Linear(hidden, 1)
        start_at_prior(last, prior)
        self.mlp = nn.Sequential(
            nn.Linear(4 * embedding, hidden), nn.GELU(), nn.LayerNorm(hidden), last
        )

    def forward(self, image: Tensor, sources: Tensor) -> Tensor:
        both = torch.cat([image[:, None], sources], 1)
        z = self.reduce(both.flatten(0, 1)).unflatten(0, both.shape[:2])
        m, s = z[:, :1], z[:, 1:]
        centre = s.mean(1, keepdim=True)
        q, r = m - centre, s - centre
        local = torch.cat([m * s, (m - s).abs(), q * r, r * r], 2)
        return self.mlp(average(local))[..., 0]


# -- class heads and projections ------------------------------------------------------------------


class LinearHead(nn.Module):
    """Mean over the places, then one linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(width, classes)

    def forward(self, map_BDyx: Tensor) -> Tensor:
        return self.last(average(map_BDyx))


class ConcatPoolHead(nn.Module):
    """Mean and maximum, then norm, dropout, linear, twice (as fastai's head for pictures)."""

    def __init__(self, width: int, classes: int, hidden: int, act: str, dropout: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.BatchNorm1d(2 * width),
            nn.Dropout(dropout / 2),
            nn.Linear(2 * width, hidden),
            activation(act),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, map_BDyx: Tensor) -> Tensor:
        return self.mlp(concat_pool(map_BDyx))


class Projector(nn.Module):
    """Mean, linear, batch norm, ReLU, linear: an embedding of length 1 for contrastive losses."""

    def __init__(self, width: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            # the norm behind it takes a bias away again
            nn.Linear(width, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, embedding),
        )

    def forward(self, map_BDyx: Tensor) -> Tensor:
        return normalize(self.mlp(average(map_BDyx)), dim=-1)


COMPARING = ("dot", "mlp", "cosine", "distance", "pair", "local")
CLASSES = ("linear", "concat_pool")


def comparing_head(
    kind: str,
    width: int,
    *,
    embedding: int = 128,
    hidden: int = 256,
    act: str = "relu",
    norm: bool = True,
    dropout: float = 0.0,
    prior: float | None = None,
) -> nn.Module:
    """A head that gives logits BN. Raises ValueError with the list of kinds."""
    match kind:
        case "dot":
            return DotHead()
        case "mlp":
            return ProductMLPHead(width, hidden, act, norm, dropout, prior)
        case "cosine":
            return CosineHead(width, embedding, prior)
        case "distance":
            return DistanceHead(width, embedding)
        case "pair":
            return PairHead(width, embedding, hidden, prior)
        case "local":
            return LocalHead(width, embedding, hidden, prior)
    raise ValueError(f"expected a head of {', '.join(COMPARING)}, received {kind!r}")


def class_head(
    kind: str, width: int, classes: int, hidden: int = 256, act: str = "relu", dropout: float = 0.0
) -> nn.Module:
    """A head that gives logits BK. Raises ValueError with the list of kinds."""
    if kind == "linear":
        return LinearHead(width, classes)
    if kind == "concat_pool":
        return ConcatPoolHead(width, classes, hidden, act, dropout)
    raise ValueError(f"expected a head of {', '.join(CLASSES)}, received {kind!r}")
