"""Vector quantisation as functions: nearest code, averaged codebooks, k-means, FSQ, gradients.

Shapes: G codebooks, N vectors, K codes a codebook, D numbers a code, P vectors in a pool.
Source: van den Oord et al. 2017, arXiv 1711.00937, appendix A (moving averages); Mentzer et al.
2023, arXiv 2309.15505 (FSQ); Fifty et al. 2024, arXiv 2410.06424 (rotation).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def nearest(z_GND: Tensor, codebook_GKD: Tensor) -> Tensor:
    """argmin_k |z - e_k|^2: int64 of shape GN. The lowest index wins a tie."""
    # Without |z|^2, which is the same for every code.
    square_G1K = codebook_GKD.square().sum(2)[:, None]
    return torch.baddbmm(square_G1K, z_GND, codebook_GKD.mT, alpha=-2).argmin(2)


def look_up(codebook_GKD: Tensor, codes_GN: Tensor) -> Tensor:
    """e_GND = codebook[g, codes[g, n]]."""
    index_GND = codes_GN[..., None].expand(-1, -1, codebook_GKD.shape[2])
    return codebook_GKD.gather(1, index_GND)


def gather_sums(z_GND: Tensor, codes_GN: Tensor, size: int, weight_N: Tensor | None = None):
    """How often each code was chosen (GK), and the sum of the vectors that chose it (GKD).

    A vector of weight 0 (padding) counts nowhere.
    """
    books, _, width = z_GND.shape
    flat = (codes_GN + size * torch.arange(books, device=codes_GN.device)[:, None]).flatten()
    ones_GN = torch.ones_like(codes_GN, dtype=z_GND.dtype)
    if weight_N is not None:
        ones_GN = ones_GN * weight_N
    counts = z_GND.new_zeros(books * size).index_add_(0, flat, ones_GN.flatten())
    sums = z_GND.new_zeros(books * size, width)
    sums.index_add_(0, flat, (z_GND * ones_GN[..., None]).flatten(0, 1))
    return counts.view(books, size), sums.view(books, size, width)


def smooth_counts(counts_GK: Tensor, eps: float = 1e-5) -> Tensor:
    """(c_k + eps) / (C + K eps) * C with C = sum c: never 0, the same total."""
    total_G1 = counts_GK.sum(1, keepdim=True)
    return (counts_GK + eps) / (total_G1 + counts_GK.shape[1] * eps) * total_G1


def average_codebook(
    codebook_GKD: Tensor, counts_GK: Tensor, sums_GKD: Tensor, weight: Tensor
) -> Tensor:
    """e_k = (s_k / w) / smooth(c_k / w) for moving averages that started at 0.

    `weight` w = 1 - decay^t undoes the start at 0. A code that nobody ever chose (c_k = 0) stays
    where it is; dividing its zero sum by eps, or an un-debiased sum by eps, throws it far away.
    """
    counts_GK, sums_GKD = counts_GK / weight, sums_GKD / weight
    moved_GKD = sums_GKD / smooth_counts(counts_GK)[..., None]
    return torch.where(counts_GK[..., None] > 0, moved_GKD, codebook_GKD)


def kmeans(points_ND: Tensor, size: int, rounds: int = 10) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from random points: centroids KD and cluster sizes K.

    An empty cluster moves to a random point. Randomness from torch's default stream.
    Raises ValueError if there are no points.
    """
    n = points_ND.shape[0]
    if n == 0:
        raise ValueError("expected at least one vector for k-means, received none")
    start = torch.randperm(n, device=points_ND.device)
    centres_KD = points_ND[start[torch.arange(size, device=start.device) % n]].clone()
    for _ in range(rounds):
        codes_1N = nearest(points_ND[None], centres_KD[None])
        counts_1K, sums_1KD = gather_sums(points_ND[None], codes_1N, size)
        # drawn whether needed or not: asking which are empty would wait for the device
        spare_KD = points_ND[torch.randint(n, (size,), device=points_ND.device)]
        mean_KD = sums_1KD[0] / counts_1K[0].clamp(min=1)[:, None]
        centres_KD = torch.where(counts_1K[0][:, None] > 0, mean_KD, spare_KD)
    codes_1N = nearest(points_ND[None], centres_KD[None])
    return centres_KD, gather_sums(points_ND[None], codes_1N, size)[0][0]


def straight_through(z: Tensor, e: Tensor) -> Tensor:
    """Value e, gradient of z."""
    return z + (e - z).detach()


def rotate(z: Tensor, e: Tensor) -> Tensor:
    """Value e; the gradient reaches z turned and scaled as z turns into e (last axis D).

    q = |e|/|z| (z - 2 r r'z + 2 e^ z^'z) with r = (z^ + e^) / |z^ + e^|, all but z held fixed.
    """
    with torch.no_grad():
        z_hat, e_hat = F.normalize(z, dim=-1), F.normalize(e, dim=-1)
        r = F.normalize(z_hat + e_hat, dim=-1)
        scale = e.norm(dim=-1, keepdim=True) / z.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    turned = z - 2 * r * (r * z).sum(-1, keepdim=True)
    turned = turned + 2 * e_hat * (z_hat * z).sum(-1, keepdim=True)
    return scale * turned


def fsq_bounded(z: Tensor, levels: tuple[int, ...]) -> Tensor:
    """The last axis's number d between the outer ones of `levels[d]` values in -1..1."""
    count = torch.tensor(levels, device=z.device, dtype=z.dtype)
    # A little wider, so that tanh reaches the outermost level.
    half = (count - 1) * (1 + 1e-3) / 2
    offset = torch.where(count % 2 == 0, 0.5, 0.0)
    bound = torch.tanh(z + torch.atanh(offset / half)) * half - offset
    return bound / (count // 2)


def fsq_codes(q: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Index of the nearest values, mixed radix, first number fastest: int64, last axis gone."""
    index = torch.zeros(q.shape[:-1], dtype=torch.int64, device=q.device)
    base = 1
    for d, count in enumerate(levels):
        digit = (q[..., d].detach() * (count // 2)).round().to(torch.int64) + count // 2
        index = index + base * digit
        base *= count
    return index


def fsq_vectors(codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """The values of indices: the inverse of `fsq_codes`, float32, one more axis."""
    parts, base = [], 1
    for count in levels:
        digit = torch.div(codes, base, rounding_mode="floor") % count
        parts.append((digit - count // 2).float() / (count // 2))
        base *= count
    return torch.stack(parts, -1)


@dataclass(frozen=True)
class CodebookReport:
    """Over a whole set, never over a batch: batch perplexity grows with the batch."""

    used: int  # codes chosen at least once
    size: int
    perplexity: float  # exp(entropy of the choices), 1..size
    drift: float  # rms |z - e| / rms |z - mean z|: 0 where the codes sit on the vectors

    @property
    def used_share(self) -> float:
        return self.used / self.size


class CodebookCount:
    """Collects choices and errors batch by batch; `report` reads the device once."""

    def __init__(self, books: int, size: int, device: torch.device | str = "cpu") -> None:
        self.counts_GK = torch.zeros(books, size, dtype=torch.float64, device=device)
        self.moments: Tensor | None = None  # sum |z-e|^2, sum |z|^2, n; then sum z

    def add(self, z_GND: Tensor, e_GND: Tensor, codes_GN: Tensor, weight_N: Tensor | None) -> None:
        z, e = z_GND.detach().double(), e_GND.detach().double()
        w = torch.ones_like(z[0, :, 0]) if weight_N is None else weight_N.to(z)
        ones_GN = w.expand(codes_GN.shape)
        self.counts_GK.scatter_add_(1, codes_GN, ones_GN)
        three = torch.stack(
            [((z - e).square().sum(2) * w).sum(), (z.square().sum(2) * w).sum(), ones_GN.sum()]
        )
        now = torch.cat([three, (z * w[:, None]).sum((0, 1))])
        self.moments = now if self.moments is None else self.moments + now

    def report(self) -> CodebookReport:
        """Raises ValueError if nothing was added."""
        if self.moments is None:
            raise ValueError("expected at least one batch in the codebook report, received none")
        share = self.counts_GK / self.counts_GK.sum(1, keepdim=True).clamp(min=1)
        entropy_G = torch.special.entr(share).sum(1)
        error, power, n, *total = self.moments.tolist()
        # about the mean: an offset common to all vectors would make any drift look small
        spread = power - sum(t * t for t in total) / max(n, 1)
        return CodebookReport(
            used=int((self.counts_GK > 0).sum()),
            size=self.counts_GK.numel(),
            # the mean of entropies, so that several books give one figure within a book's size
            perplexity=float(entropy_G.mean().exp()),
            drift=(error / spread) ** 0.5 if spread > 0 else 0.0,
        )
