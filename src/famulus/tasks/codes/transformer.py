"""Causal transformer over codes in raster order, with a preallocated key and value cache.

Shapes: B pictures, T places (any number of grid axes), C width, N heads, E = C / N.
Source: Vaswani et al. 2017, arXiv 1706.03762; normalisation before each part.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.tasks.codes.prior_net import PriorNet


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); BTC to BTC."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, B N T E each."""
        parts = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        return q, k, v

    def join(self, x: Tensor, attended_BNTE: Tensor) -> Tensor:
        x = x + self.mix(attended_BNTE.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        share = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=share, is_causal=True)
        return self.join(x, attended)


@dataclass
class AttentionCache:
    """Keys and values of all layers for all places, allocated once: L B N T E."""

    keys: Tensor
    values: Tensor
    previous_BC: Tensor  # the last place's embedded codes; the start vector at first
    label_BC: Tensor


class Transformer(PriorNet):
    """The input at place t is what stood at place t - 1; `begin` stands before place 0."""

    def __init__(
        self,
        size: int,
        grid: tuple[int, ...],
        per_place: int = 1,
        classes: int = 0,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(size, grid, per_place, classes, width)
        if width % heads:
            raise ValueError(f"expected a width that {heads} heads divide, received {width}")
        self.heads = heads
        self.begin = nn.Parameter(torch.randn(width) * 0.02)
        self.axes = nn.ParameterList(torch.randn(side, width) * 0.02 for side in grid)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def positions(self) -> Tensor:
        """TC: the sum of one learned vector an axis."""
        total = self.axes[0]
        for axis in self.axes[1:]:
            total = total[..., None, :] + axis
        return total.reshape(-1, self.width)

    def features(self, codes: Tensor, label_BC: Tensor) -> Tensor:
        embedded = self.embed(codes.flatten(1, -2))
        begin = self.begin.expand(codes.shape[0], 1, -1)
        # shifted by one: a place must not see its own code
        x = torch.cat([begin, embedded[:, :-1]], 1) + self.positions() + label_BC[:, None]
        for block in self.blocks:
            x = block(x)
        return self.last(x).unflatten(1, self.grid)

    def place_reach(self, place: int) -> Tensor:
        return torch.arange(self.places) > place

    def start(self, batch: int, label_B: Tensor | None, device: torch.device) -> AttentionCache:
        shape = (len(self.blocks), batch, self.heads, self.places, self.width // self.heads)
        return AttentionCache(
            keys=torch.zeros(shape, device=device, dtype=self.begin.dtype),
            values=torch.zeros(shape, device=device, dtype=self.begin.dtype),
            previous_BC=self.begin.expand(batch, -1),
            label_BC=self._label(label_B, batch),
        )

    def advance(self, state: AttentionCache, place: int) -> Tensor:
        position = sum(
            axis[i] for axis, i in zip(self.axes, _unravel(place, self.grid), strict=True)
        )
        x = (state.previous_BC + position + state.label_BC)[:, None]
        for i, block in enumerate(self.blocks):
            q, k, v = block.split(x)
            state.keys[i, :, :, place], state.values[i, :, :, place] = k[:, :, 0], v[:, :, 0]
            known = (state.keys[i, :, :, : place + 1], state.values[i, :, :, : place + 1])
            x = block.join(x, F.scaled_dot_product_attention(q, *known))
        return self.last(x)[:, 0]

    def put(self, state: AttentionCache, place: int, codes_BH: Tensor) -> None:
        state.previous_BC = self.embed(codes_BH)


def _unravel(place: int, grid: tuple[int, ...]) -> list[int]:
    out = []
    for side in reversed(grid):
        place, i = divmod(place, side)
        out.append(i)
    return out[::-1]
