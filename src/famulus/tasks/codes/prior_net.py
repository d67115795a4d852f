"""What every prior over codes shares: embeddings, the head for several codes, the contract.

Shapes: B pictures, ... the grid (T places in raster order), H codes a place, K codes, C width.
Codes are int64 in 0..K-1; K itself marks padding: known, never predicted, never counted.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CodeEmbedding(nn.Module):
    """Sum over h of a table's row for code h; row K stands for padding. B...H -> B...C."""

    def __init__(self, size: int, per_place: int, width: int) -> None:
        super().__init__()
        # a table for each: the same number as first and as second code means two things
        self.tables = nn.ModuleList(nn.Embedding(size + 1, width) for _ in range(per_place))

    def forward(self, codes: Tensor) -> Tensor:
        return sum(table(codes[..., h]) for h, table in enumerate(self.tables))


class CodeHead(nn.Module):
    """Code h of a place from the place's feature and its codes before h.

    logits_h = W_h silu(U (feature + o_h + sum_{j<h} E_j[code_j])): the chain rule inside a place.
    """

    def __init__(self, size: int, per_place: int, width: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(nn.Embedding(size + 1, width) for _ in range(per_place - 1))
        self.order = nn.Parameter(torch.zeros(per_place, width))
        self.hidden = nn.Linear(width, width)
        self.logits = nn.ModuleList(nn.Linear(width, size) for _ in range(per_place))

    def forward(self, feature: Tensor, codes: Tensor) -> Tensor:
        """Logits of all codes at once, ...HK, given the true ones, ...H."""
        out = []
        for h in range(len(self.logits)):
            out.append(self.one(feature, h))
            if h < len(self.before):
                feature = self.tell(feature, h, codes[..., h])
        return torch.stack(out, -2)

    def one(self, feature: Tensor, h: int) -> Tensor:
        """Logits of code h, ...K; `feature` has been told codes 0..h-1."""
        return self.logits[h](F.silu(self.hidden(feature + self.order[h])))

    def tell(self, feature: Tensor, h: int, code: Tensor) -> Tensor:
        """The feature for code h + 1."""
        return feature + self.before[h](code)


class PriorNet(nn.Module, ABC):
    """p(codes) = product over places, and over the codes of a place, in raster order.

    Two ways to the same numbers: `forward`, all places at once, and `start` / `advance` / `put`,
    one place at a time with a cache. `reach` declares what a code may move.
    """

    def __init__(
        self, size: int, grid: tuple[int, ...], per_place: int, classes: int, width: int
    ) -> None:
        super().__init__()
        if min(size, per_place, width, *grid) < 1:
            raise ValueError(
                "expected size, grid, codes a place and width >= 1, "
                f"received {size}, {tuple(grid)}, {per_place} and {width}"
            )
        self.size, self.grid, self.per_place = size, tuple(grid), per_place
        self.classes, self.width = classes, width
        self.embed = CodeEmbedding(size, per_place, width)
        self.head = CodeHead(size, per_place, width)
        self.label = nn.Embedding(classes, width) if classes else None

    @property
    def places(self) -> int:
        return torch.Size(self.grid).numel()

    def forward(self, codes: Tensor, label_B: Tensor | None = None) -> Tensor:
        """Logits B...HK of every code, each given only the codes before it.

        Raises ValueError if the codes have another grid, or a label is missing.
        """
        expected = (*self.grid, self.per_place)
        if tuple(codes.shape[1:]) != expected:
            raise ValueError(
                f"expected codes of grid {self.grid} with {self.per_place} a place, "
                f"received {tuple(codes.shape[1:])}"
            )
        return self.head(self.features(codes, self._label(label_B, codes.shape[0])), codes)

    def _label(self, label_B: Tensor | None, batch: int) -> Tensor:
        """B x C: 0 for a prior without classes."""
        if self.label is None:
            return self.head.order.new_zeros(batch, self.width)
        if label_B is None:
            raise ValueError(f"expected a label in 0..{self.classes - 1} a picture, received none")
        return self.label(label_B)

    @abstractmethod
    def features(self, codes: Tensor, label_BC: Tensor) -> Tensor:
        """B...C: what a place knows of the places before it."""

    @abstractmethod
    def start(self, batch: int, label_B: Tensor | None, device: torch.device) -> Any:
        """An empty cache."""

    @abstractmethod
    def advance(self, state: Any, place: int) -> Tensor:
        """The feature BC of a place; all places before it were `put`."""

    @abstractmethod
    def put(self, state: Any, place: int, codes_BH: Tensor) -> None:
        """Tells the cache a place's codes."""

    @abstractmethod
    def place_reach(self, place: int) -> Tensor:
        """Which places' features a code at `place` moves: bool, T."""

    def reach(self, place: int, h: int) -> Tensor:
        """Exactly which logits code h of `place` moves: bool, T x H."""
        moved = self.place_reach(place)[:, None].repeat(1, self.per_place)
        # a code also moves those behind it at its own place
        moved[place, h + 1 :] = True
        return moved
