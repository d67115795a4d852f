"""Differentiable ("soft") histograms, and the loss that compares two of them.

Shapes: R rows (one an image and channel), P pixels of a row, N bins, J cells, K terms.
Source: the soft histogram of the PyTorch forum's thread 25865; the expansion is a one-dimensional
    fast Gauss transform (Greengard & Strain 1991, doi:10.1137/0912004) with a logistic kernel.

With edges e_i = low + i * delta, delta = (high - low) / bins, and s the logistic function,

    h_i = sum over pixels of s(sigma (x - e_i)) - s(sigma (x - e_{i+1})),

so that the sum over bins telescopes to sum of s(sigma (x - low)) - s(sigma (x - high)). Written
out, this takes P x N sigmoids. Here each pixel adds K powers of its distance to the middle of its
cell, and a J*K x N table of Taylor coefficients turns these moments into bins: exact to rounding,
in memory that does not grow with P x N.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

HALF_CELL = 0.5  # in units of 1/sigma; the series of s converges within pi
TERMS = {torch.float32: 12, torch.float64: 22}  # (HALF_CELL / pi)^K is below the rounding error
TAIL = {torch.float32: 18.0, torch.float64: 40.0}  # s(-TAIL) is below the rounding error
LIMIT = 1 << 23  # entries of the table; beyond it, and for few pixels, the sum is written out
MOMENTS = 8  # a pixel's sigmoids cost as much as about this many of its row's moments
CHUNK = 1 << 20  # sigmoids held at once where the sum is written out


def _taylor(u: Tensor, terms: int) -> Tensor:
    """s^(k)(u) / k! for k < terms, along a new first axis.

    Each derivative of s is a polynomial in s: if p(s) is one, the next is p'(s) (s - s^2).
    """
    s = torch.sigmoid(u)
    polynomial = torch.tensor([0.0, 1.0], dtype=u.dtype)  # coefficients, lowest first
    out = []
    for k in range(terms):
        value = torch.zeros_like(s)
        # Horner's scheme: no power of s is formed
        for coefficient in polynomial.flip(0).tolist():
            value = value * s + coefficient
        out.append(value)
        slope = polynomial[1:] * torch.arange(1, len(polynomial), dtype=u.dtype)
        following = torch.zeros(len(polynomial) + 1, dtype=u.dtype)
        following[1:-1] += slope
        following[2:] -= slope
        polynomial = following / (k + 1)
    return torch.stack(out)


def _table(bins: int, width: float, cells: int, tail: float, terms: int) -> Tensor:
    """What the k-th moment of cell j adds to bin i: shape (J, K, N), float64.

    Lengths are in units of 1/sigma with the first edge at 0; `width` is a bin's. The difference
    of neighbouring edges is taken here, in float64, so that no cancellation is left for later.
    """
    middle_J = (torch.arange(cells, dtype=torch.float64) + 0.5) * 2 * HALF_CELL - tail
    edge_E = torch.arange(bins + 1, dtype=torch.float64) * width
    at_edges_KJE = _taylor(middle_J[:, None] - edge_E, terms)
    return (at_edges_KJE[..., :-1] - at_edges_KJE[..., 1:]).transpose(0, 1).contiguous()


class _Expanded(torch.autograd.Function):
    """(R, P) distances above the first edge, in float64 units of 1/sigma -> (R, N), by moments.

    The table's precision is that of the result: only the split into cell and rest needs float64,
    because sigma magnifies the rounding of x.
    """

    @staticmethod
    def forward(ctx, u_RP: Tensor, table_JKN: Tensor, tail: float) -> Tensor:
        rows, cells, terms = len(u_RP), *table_JKN.shape[:2]
        place_RP = ((u_RP + tail) / (2 * HALF_CELL)).floor_().clamp_(0, cells - 1)
        place_RP.nan_to_num_(0)  # a NaN stays in the rest, and so in its row's result
        # the rest of a pixel beyond the tails is cut: s is flat there to rounding
        rest_RP = (u_RP + tail - (2 * place_RP + 1) * HALF_CELL).clamp_(-HALF_CELL, HALF_CELL)
        rest_RP = rest_RP.to(table_JKN.dtype)
        place_RP = place_RP.long() + torch.arange(rows, device=u_RP.device)[:, None] * cells
        moments = rest_RP.new_zeros(rows * cells, terms)
        powers = torch.ones_like(rest_RP)[..., None].expand(*rest_RP.shape, terms).clone()
        for k in range(1, terms):
            # out=: K powers of every pixel are the largest tensor here, and are written once
            torch.mul(powers[..., k - 1], rest_RP, out=powers[..., k])
        # one scatter for all rows: a row is an offset of the cell's number
        moments.index_add_(0, place_RP.flatten(), powers.view(-1, terms))
        ctx.save_for_backward(place_RP, rest_RP, table_JKN)
        # autocast would run the product in half precision and lose what the table was made for
        with torch.autocast(u_RP.device.type, enabled=False):
            return moments.view(rows, -1) @ table_JKN.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_RN: Tensor) -> tuple[Tensor, None, None]:
        place_RP, rest_RP, table_JKN = ctx.saved_tensors
        terms = table_JKN.shape[1]
        with torch.autocast(grad_RN.device.type, enabled=False):
            by_moment = (grad_RN @ table_JKN.flatten(0, 1).T).view(-1, terms)
        weights = by_moment.index_select(0, place_RP.flatten()).view(*rest_RP.shape, terms)
        grad_RP = weights[..., -1] * (terms - 1)
        for k in range(terms - 2, 0, -1):  # Horner: sum over k of k * weight_k * rest^(k-1)
            grad_RP.mul_(rest_RP).add_(weights[..., k], alpha=k)
        # the input is float64
        return grad_RP.double(), None, None


class _WrittenOut(torch.autograd.Function):
    """As `_Expanded` in precision `dtype`, one sigmoid a pixel and edge, a few bins at a time."""

    @staticmethod
    def _chunks(u_RP: Tensor, bins: int, width: float, dtype: torch.dtype):
        """(row, bins, s(a) - s(b), s(-a) - s(b)) with a, b = a - width at a bin's two edges.

        s(a) - s(b) = s(a) s(-b) (1 - exp(-width)) has no cancellation.
        """
        edge_E = torch.arange(bins, dtype=u_RP.dtype, device=u_RP.device) * width
        size = max(1, CHUNK // max(1, u_RP.shape[1]))
        for row, u_P in enumerate(u_RP):
            for first in range(0, bins, size):
                which = slice(first, first + size)
                a = (u_P - edge_E[which, None]).to(dtype)
                b = a - width
                mass = torch.sigmoid(a) * torch.sigmoid(-b) * -math.expm1(-width)
                yield row, which, mass, torch.sigmoid(-a) - torch.sigmoid(b)

    @staticmethod
    def forward(ctx, u_RP: Tensor, bins: int, width: float, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(u_RP)
        ctx.recipe = bins, width, dtype
        out_RN = u_RP.new_empty(len(u_RP), bins, dtype=dtype)
        for row, which, mass, _ in _WrittenOut._chunks(u_RP, bins, width, dtype):
            out_RN[row, which] = mass.sum(1)
        return out_RN

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_RN: Tensor) -> tuple[Tensor, None, None, None]:
        (u_RP,) = ctx.saved_tensors
        grad_RP = torch.zeros_like(u_RP)
        for row, which, mass, tilt in _WrittenOut._chunks(u_RP, *ctx.recipe):
            # s'(a) - s'(b) = (s(a) - s(b)) (1 - s(a) - s(b)) and 1 - s(a) = s(-a)
            # sigmoids are computed again: kept for backward they would be P x N numbers
            grad_RP[row] += (grad_RN[row, which, None] * mass * tilt).sum(0)
        return grad_RP, None, None, None


def soft_histogram(
    x: Tensor, bins: int, low: float = 0.0, high: float = 1.0, sigma: float = 100.0
) -> Tensor:
    """h_i of the module's formula over the last axis: (..., P) -> (..., bins), in pixels.

    Half precision is raised to float32. A value exactly at `low` or `high` counts one half.
    Once differentiable. Raises ValueError unless bins >= 1, low < high, sigma > 0.
    """
    if bins < 1 or not low < high or not sigma > 0 or not math.isfinite(sigma * (high - low)):
        raise ValueError(
            f"expected bins >= 1, low < high and sigma > 0, received {bins=}, {low=}, {high=} "
            f"and {sigma=}"
        )
    x = x if x.dtype == torch.float64 else x.float()
    width = sigma * (high - low) / bins
    u_RP = ((x.double() - low) * sigma).reshape(-1, x.shape[-1])
    tail, terms = TAIL[x.dtype], TERMS[x.dtype]
    cells = math.ceil((bins * width + 2 * tail) / (2 * HALF_CELL))
    moments = cells * terms
    if moments * (bins + 1) <= LIMIT and moments <= MOMENTS * x.shape[-1]:
        table = _table(bins, width, cells, tail, terms).to(x.device, x.dtype)
        h_RN = _Expanded.apply(u_RP, table, tail)
    else:
        h_RN = _WrittenOut.apply(u_RP, bins, width, x.dtype)
    return h_RN.view(*x.shape[:-1], bins)


class HistogramLoss(nn.Module):
    """mean over B, C and bins of |h - h'| (l1) or (h - h')^2 (l2), of two BCHW pictures.

    `norm` divides each histogram by its row's pixels: shares instead of counts.
    """

    def __init__(
        self,
        bins: int = 100,
        low: float = 0.0,
        high: float = 1.0,
        sigma: float = 100.0,
        norm: bool = False,
        kind: Literal["l1", "l2"] = "l1",
    ) -> None:
        super().__init__()
        if kind not in ("l1", "l2"):
            raise ValueError(f"expected kind l1 or l2, received {kind!r}")
        self.bins, self.low, self.high, self.sigma = bins, low, high, sigma
        self.norm, self.kind = norm, kind

    def extra_repr(self) -> str:
        return (
            f"bins={self.bins}, low={self.low}, high={self.high}, sigma={self.sigma}, "
            f"norm={self.norm}, kind={self.kind!r}"
        )

    def forward(self, recon_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        return self.per_sample(recon_BCHW, target_BCHW).mean()

    def histogram(self, image_BCHW: Tensor) -> Tensor:
        """BCN, in pixels, or in shares of the picture with `norm`."""
        image_BCP = image_BCHW.flatten(2)
        h_BCN = soft_histogram(image_BCP, self.bins, self.low, self.high, self.sigma)
        return h_BCN / image_BCP.shape[-1] if self.norm else h_BCN

    def distance(self, h_BCN: Tensor, target_BCN: Tensor) -> Tensor:
        """Mean over C and bins of |h - h'| or (h - h')^2: B."""
        d_BCN = h_BCN - target_BCN
        return (d_BCN.abs() if self.kind == "l1" else d_BCN.square()).flatten(1).mean(1)

    def per_sample(self, recon_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """The distance between the histograms of each picture and of its target: B."""
        if recon_BCHW.shape != target_BCHW.shape:
            raise ValueError(
                f"expected the target's shape {tuple(target_BCHW.shape)}, "
                f"received {tuple(recon_BCHW.shape)}"
            )
        # sigma magnifies rounding: half precision would move a pixel by a tenth of a bin
        dtype = torch.promote_types(recon_BCHW.dtype, target_BCHW.dtype)
        # one call for both: the table is made once
        both = torch.cat([recon_BCHW.to(dtype), target_BCHW.to(dtype)])
        return self.distance(*self.histogram(both).chunk(2))
