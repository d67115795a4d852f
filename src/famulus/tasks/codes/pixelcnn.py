"""Gated PixelCNN over codes, with a vertical and a horizontal stack, and its exact cache.

Shapes: B pictures, C channels, Y X the grid, H codes a place, L layers.
No masks: a stack that may not see a row or a column is shifted by padding and cropping, so that
there is no mask to get wrong. The vertical stack sees the rows above, whole; the horizontal one
the places to the left, and the vertical stack: no blind spot.
Source: van den Oord et al. 2016, arXiv 1606.05328. The cache follows the idea of Ramachandran et
al. 2017, arXiv 1704.06001: the vertical stack once a row, the horizontal once a place.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.tasks.codes.prior_net import PriorNet


def gate(x: Tensor, dim: int = 1) -> Tensor:
    """tanh(a) sigmoid(b) of the two halves."""
    a, b = x.chunk(2, dim)
    return a.tanh() * b.sigmoid()


class GatedLayer(nn.Module):
    """One step of both stacks. `first`: neither sees its own row or place; no shortcut.

    `side` = kernel // 2: the first layer sees `side` rows above and `side` places to the left,
    the others their own and `side` more.
    """

    def __init__(self, width: int, kernel: int, first: bool) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"expected an odd kernel, received {kernel}")
        self.side, self.first = kernel // 2, first
        self.span = self.side if first else self.side + 1
        self.vertical = nn.Conv2d(width, 2 * width, (self.span, kernel))
        self.horizontal = nn.Conv2d(width, 2 * width, (1, self.span))
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, 2 * width, 1)  # shortcut and skip
        self.label = nn.Linear(width, 4 * width, bias=False)

    def forward(self, v: Tensor, h: Tensor, label_BC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """v, h and the skip, BCYX each."""
        rows, columns = v.shape[2:]
        side = self.side
        label_v, label_h = self.label(label_BC)[..., None, None].chunk(2, 1)
        # top (left) padding alone shifts; cropping the end drops what lies below (to the right)
        above = self.vertical(F.pad(v, (side, side, side, 0)))[:, :, :rows]
        left = self.horizontal(F.pad(h, (side, 0)))[..., :columns]
        above = above + label_v
        gated = gate(left + self.down(above) + label_h)
        more, skip = self.out(gated).chunk(2, 1)
        gated_v = gate(above)
        # no shortcut in the first: it would carry a place's own code to its prediction
        return (gated_v, more, skip) if self.first else (v + gated_v, h + more, skip)


@dataclass
class PixelCache:
    """What a row and a place still need of the past. Windows are as wide as the kernels."""

    label_BC: Tensor
    above: list[Tensor]  # a layer's rows for the vertical convolution: B C span X+2side
    left: list[Tensor]  # a layer's places for the horizontal one: B, X+side, C
    row: Tensor  # the current row's embedded codes: B C X+2side of the first layer
    from_above: Tensor  # L X B 2C: the vertical stack's word to each place of this row
    weights: list[tuple[Tensor, Tensor, Tensor]]  # horizontal, out, out's bias, as matrices


class PixelCNN(PriorNet):
    """`first_kernel` and `kernel` are odd sides; `layers` counts all gated layers."""

    def __init__(
        self,
        size: int,
        grid: tuple[int, int],
        per_place: int = 1,
        classes: int = 0,
        width: int = 64,
        layers: int = 8,
        first_kernel: int = 7,
        kernel: int = 3,
    ) -> None:
        super().__init__(size, grid, per_place, classes, width)
        if len(grid) != 2:
            raise ValueError(f"expected a grid of two axes, received {tuple(grid)}")
        self.layers = nn.ModuleList(
            GatedLayer(width, first_kernel if i == 0 else kernel, i == 0) for i in range(layers)
        )
        # a convolution alone does not know where it is
        self.rows = nn.Parameter(torch.randn(width, grid[0], 1) * 0.02)
        self.columns = nn.Parameter(torch.randn(width, 1, grid[1]) * 0.02)
        self.last = nn.Linear(width, width)

    def features(self, codes: Tensor, label_BC: Tensor) -> Tensor:
        v = h = self.embed(codes).movedim(-1, 1)
        position = self.rows + self.columns
        skips: Tensor | float = 0.0
        for i, layer in enumerate(self.layers):
            v, h, skip = layer(v, h, label_BC)
            if i == 0:
                # after the first layer: before it a place's own position would be shifted away
                v, h = v + position, h + position
            skips = skips + skip
        return self.last(F.silu(skips).movedim(1, -1))

    def place_reach(self, place: int) -> Tensor:
        rows, columns = self.grid
        y, x = divmod(place, columns)
        far = self.layers[0].side + sum(layer.side for layer in self.layers[1:])
        down = torch.arange(rows)[:, None] - y
        right = torch.arange(columns)[None] - x
        same_row = (down == 0) & (right > 0) & (right <= far)
        below = (down > 0) & (down <= far) & (right.abs() <= far)
        return (same_row | below).flatten()

    def start(self, batch: int, label_B: Tensor | None, device: torch.device) -> PixelCache:
        columns, width = self.grid[1], self.width
        zeros = partial(torch.zeros, device=device, dtype=self.rows.dtype)
        weights = []
        for layer in self.layers:
            # (2C, C, 1, span) -> (span C, 2C): a window of places, flattened, times a matrix
            matrix = layer.horizontal.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)
            weights.append((matrix.contiguous(), layer.out.weight[:, :, 0, 0].t(), layer.out.bias))
        return PixelCache(
            label_BC=self._label(label_B, batch),
            above=[zeros(batch, width, a.span, columns + 2 * a.side) for a in self.layers],
            left=[zeros(batch, columns + a.side, width) for a in self.layers],
            row=zeros(batch, width, columns + 2 * self.layers[0].side),
            from_above=zeros(len(self.layers), columns, batch, 2 * width),
            weights=weights,
        )

    def advance(self, state: PixelCache, place: int) -> Tensor:
        y, x = divmod(place, self.grid[1])
        if x == 0:
            self._start_row(state, y)
        width = self.width
        h = skips = None
        for i, layer in enumerate(self.layers):
            matrix, out, bias = state.weights[i]
            line = state.left[i]
            if i > 0:
                line[:, x + layer.side] = h
            window = line[:, x : x + layer.span].flatten(1)
            pre = torch.addmm(state.from_above[i, x], window, matrix)
            both = torch.addmm(bias, gate(pre), out)
            more, skip = both[:, :width], both[:, width:]
            h = more + self.rows[:, y, 0] + self.columns[:, 0, x] if i == 0 else h + more
            skips = skip if skips is None else skips + skip
        return self.last(F.silu(skips))

    def put(self, state: PixelCache, place: int, codes_BH: Tensor) -> None:
        x = place % self.grid[1]
        side = self.layers[0].side
        embedded_BC = self.embed(codes_BH)
        state.left[0][:, x + side] = embedded_BC
        state.row[:, :, x + side] = embedded_BC

    def _start_row(self, state: PixelCache, y: int) -> None:
        """The vertical stack of row y, one row high; the horizontal windows start empty."""
        if y > 0:
            state.above[0] = torch.cat([state.above[0][:, :, 1:], state.row[:, :, None]], 2)
        v = None
        for i, layer in enumerate(self.layers):
            label_v, label_h = layer.label(state.label_BC)[..., None, None].chunk(2, 1)
            if i > 0:
                row = F.pad(v, (layer.side, layer.side))
                state.above[i] = torch.cat([state.above[i][:, :, 1:], row], 2)
            above = layer.vertical(state.above[i]) + label_v
            word = layer.down(above) + label_h + layer.horizontal.bias[:, None, None]
            state.from_above[i] = word[:, :, 0].permute(2, 0, 1)
            gated = gate(above)
            v = gated + self.rows[:, y : y + 1] + self.columns if i == 0 else v + gated
        for line in state.left:
            # a new row begins with nothing to its left
            line.zero_()
