"""Quantisers: a vector per place becomes one code, or a declared number of codes.

Shapes: B pictures, C channels, ... space (one to three axes), S places, H codes a place,
G codebooks (1 if shared), N vectors, K codes, D numbers a code.
Everything a quantiser learns outside of the gradient is in buffers, so that resume is exact.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from famulus.config.errors import Unfit
from famulus.tasks.codes import quantisation as q


@dataclass(frozen=True)
class Quantised:
    """What leaves the quantiser: `z` has the shape that came in, `codes` is B...H."""

    z: Tensor
    codes: Tensor
    commit: Tensor  # mean |z - sg(e)|^2 over the places that count
    codebook: Tensor  # mean |sg(z) - e|^2, for codes that a gradient moves; else 0
    before_GND: Tensor  # the vectors as compared with the codebook, and their codes: for reports
    after_GND: Tensor
    codes_GN: Tensor
    weight_N: Tensor | None


class Quantiser(nn.Module):
    """Splits C into `codes_per_position` groups of D, in float32 whatever autocast says.

    A subclass says how groups become codes (`choose`) and codes become vectors (`vectors`).
    `mask` (B..., bool) leaves padding out of every mean and every average.
    Raises ValueError, naming `codes_per_position`, if C != codes_per_position * D.
    """

    def __init__(self, size: int, width: int, codes_per_position: int, shared: bool) -> None:
        super().__init__()
        if min(size, width, codes_per_position) < 1:
            raise ValueError(
                "expected size, width and codes_per_position >= 1, "
                f"received {size}, {width} and {codes_per_position}"
            )
        self.size, self.width = size, width
        self.per_place, self.shared = codes_per_position, shared
        self.books = 1 if shared else codes_per_position

    @property
    def started(self) -> bool:
        """Whether the codebook means something yet."""
        return True

    @property
    def commits(self) -> bool:
        """Whether z is drawn to its code: not before there is one to be near to."""
        return self.started

    @property
    def channels(self) -> int:
        return self.per_place * self.width

    # not abstract: one that quantises as a whole (LibraryQuantiser) chooses nothing by itself
    def choose(self, z_GND: Tensor) -> Tensor:
        """Codes GN."""
        raise NotImplementedError(f"{type(self).__name__} does not choose codes apart")

    def vectors(self, codes_GN: Tensor) -> Tensor:
        """The vectors GND of codes GN."""
        raise NotImplementedError(f"{type(self).__name__} has no vectors of codes")

    def prepare(self, z_GND: Tensor) -> Tensor:
        """What is compared with the codebook."""
        return z_GND

    def through(self, z_GND: Tensor, e_GND: Tensor) -> Tensor:
        return q.straight_through(z_GND, e_GND)

    def learn(self, z_GND: Tensor, codes_GN: Tensor, weight_N: Tensor | None) -> None:
        """Moves the codebook, after it was used."""

    def forward(self, z: Tensor, mask: Tensor | None = None) -> Quantised:
        # In float32: in bfloat16 near codes become one, and about half of them are used.
        with torch.autocast(device_type=z.device.type, enabled=False):
            z_GND = self.prepare(self._split(z.float()))
            weight_N = None if mask is None else self._weights(mask)
            codes_GN = self.choose(z_GND)
            e_GND = self.vectors(codes_GN)
            out = self._join(self.through(z_GND, e_GND), z.shape)
            commit = _mean_square(z_GND - e_GND.detach(), weight_N)
            if not self.commits:
                # z would be drawn to random vectors
                commit = torch.zeros_like(commit)
            moved = _mean_square(z_GND.detach() - e_GND, weight_N) if e_GND.requires_grad else None
            if self.training:
                # after its use: the loss is of the codebook that was chosen from
                self.learn(z_GND.detach(), codes_GN, weight_N)
        return Quantised(
            z=out,
            codes=self._code_grid(codes_GN, z.shape),
            commit=commit,
            codebook=torch.zeros_like(commit) if moved is None else moved,
            before_GND=z_GND.detach(),
            after_GND=e_GND.detach(),
            codes_GN=codes_GN,
            weight_N=weight_N,
        )

    def decode(self, codes: Tensor) -> Tensor:
        """Codes B...H to vectors BC..., float32. Raises ValueError on another H."""
        if codes.shape[-1] != self.per_place:
            raise ValueError(
                f"expected {self.per_place} codes a position (codes_per_position), "
                f"received {codes.shape[-1]}"
            )
        batch, *space, _ = codes.shape
        flat = codes.reshape(-1, self.per_place)
        codes_GN = flat.reshape(1, -1) if self.shared else flat.t().contiguous()
        shape = torch.Size((batch, self.channels, *space))
        return self._join(self.vectors(codes_GN), shape)

    def _split(self, z: Tensor) -> Tensor:
        if z.shape[1] != self.channels:
            fits = z.shape[1] / self.width
            hint = f"; codes_per_position: {int(fits)} would fit" if fits == int(fits) else ""
            raise Unfit(
                f"expected {self.channels} channels = codes_per_position {self.per_place} "
                f"x code dimension {self.width}, received {z.shape[1]}{hint}, or project linearly",
                "codes-width",
            )
        z_NHD = z.movedim(1, -1).reshape(-1, self.per_place, self.width)
        if self.shared:
            return z_NHD.reshape(1, -1, self.width)
        return z_NHD.transpose(0, 1)

    def _join(self, z_GND: Tensor, shape: torch.Size) -> Tensor:
        if not self.shared:
            z_GND = z_GND.transpose(0, 1)
        return z_GND.reshape(shape[0], *shape[2:], self.channels).movedim(-1, 1)

    def _code_grid(self, codes_GN: Tensor, shape: torch.Size) -> Tensor:
        codes = codes_GN if self.shared else codes_GN.t()
        return codes.reshape(shape[0], *shape[2:], self.per_place)

    def _weights(self, mask: Tensor) -> Tensor:
        flat = mask.reshape(-1).float()
        return flat.repeat_interleave(self.per_place) if self.shared else flat


def _mean_square(d_GND: Tensor, weight_N: Tensor | None) -> Tensor:
    if weight_N is None:
        return d_GND.square().mean()
    share = d_GND.square().mean((0, 2)) * weight_N
    return share.sum() / weight_N.sum().clamp(min=1)


class AveragedCodebook(Quantiser):
    """Codes follow the moving average of the vectors that choose them.

    The first vectors fill a pool while z passes unquantised; k-means over the pool starts the
    codebook (`pool` = 0: random start at once). A code used less than `reset_below` times the
    uniform share moves onto a random vector of the batch, with its count and its sum.
    `cosine`: both sides have length 1. `rotation`: see `tasks.codes.quantisation.rotate`.
    """

    def __init__(
        self,
        size: int,
        width: int,
        codes_per_position: int = 1,
        shared: bool = True,
        decay: float = 0.99,
        pool: int = 10_000,
        reset_below: float = 0.1,
        cosine: bool = False,
        rotation: bool = False,
    ) -> None:
        super().__init__(size, width, codes_per_position, shared)
        if not 0 <= decay < 1:
            raise ValueError(f"expected 0 <= decay < 1, received {decay}")
        self.decay, self.reset_below = decay, reset_below
        self.cosine, self.rotation = cosine, rotation
        books = self.books
        # of length about 1, whatever the width
        start = torch.randn(books, size, width) / width**0.5
        self.register_buffer("codebook_GKD", F.normalize(start, dim=2) if cosine else start)
        self.register_buffer("counts_GK", torch.zeros(books, size))
        self.register_buffer("sums_GKD", torch.zeros(books, size, width))
        self.register_buffer("weight", torch.zeros(()))  # 1 - decay^t; 1 after k-means
        self.register_buffer("pool_GPD", torch.zeros(books, pool, width))
        self.register_buffer("pooled", torch.zeros((), dtype=torch.int64))
        self._asked: tuple[int, int] | None = None
        self._started = False

    @property
    def started(self) -> bool:
        """Whether k-means has run. The device is asked only after `pooled` was written to."""
        if torch.compiler.is_exporting():  # traced numbers have no address: as it was called last
            return self._started
        # A checkpoint that is loaded, or a move to another device, writes, too.
        written = self.pooled.data_ptr(), self.pooled._version
        if written != self._asked:
            self._asked = written
            self._started = int(self.pooled) >= self.pool_GPD.shape[1]
        return self._started

    def prepare(self, z_GND: Tensor) -> Tensor:
        return F.normalize(z_GND, dim=2) if self.cosine else z_GND

    def choose(self, z_GND: Tensor) -> Tensor:
        return q.nearest(z_GND.detach(), self.codebook_GKD)

    def vectors(self, codes_GN: Tensor) -> Tensor:
        return q.look_up(self.codebook_GKD, codes_GN)

    def through(self, z_GND: Tensor, e_GND: Tensor) -> Tensor:
        if not self.started:
            return z_GND
        return q.rotate(z_GND, e_GND) if self.rotation else super().through(z_GND, e_GND)

    @torch.no_grad()
    def learn(self, z_GND: Tensor, codes_GN: Tensor, weight_N: Tensor | None) -> None:
        if not self.started:
            self._fill_pool(z_GND, weight_N)
            return
        counts_GK, sums_GKD = q.gather_sums(z_GND, codes_GN, self.size, weight_N)
        self.counts_GK.lerp_(counts_GK, 1 - self.decay)
        self.sums_GKD.lerp_(sums_GKD, 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        if self.reset_below > 0:
            self._reset_dead(z_GND, weight_N)
        moved = q.average_codebook(self.codebook_GKD, self.counts_GK, self.sums_GKD, self.weight)
        self.codebook_GKD.copy_(F.normalize(moved, dim=2) if self.cosine else moved)

    def _fill_pool(self, z_GND: Tensor, weight_N: Tensor | None) -> None:
        room, filled = self.pool_GPD.shape[1], int(self.pooled)
        if weight_N is not None:
            z_GND = z_GND[:, weight_N > 0]
        picks = torch.randperm(z_GND.shape[1], device=z_GND.device)
        picks = picks[: min(room - filled, -(-room // 4))]  # at most a quarter from one batch
        self.pool_GPD[:, filled : filled + len(picks)] = z_GND[:, picks]
        self.pooled.fill_(filled + len(picks))
        if not self.started:
            return
        for g in range(self.books):
            centres_KD, counts_K = q.kmeans(self.pool_GPD[g], self.size)
            if self.cosine:
                centres_KD = F.normalize(centres_KD, dim=1)
            # counts as one batch would have had them, so that the average goes on smoothly
            counts_K = counts_K * (z_GND.shape[1] / room)
            self.codebook_GKD[g] = centres_KD
            self.counts_GK[g] = counts_K
            self.sums_GKD[g] = centres_KD * counts_K[:, None]
        # the averages start full: nothing to undo
        self.weight.fill_(1)

    def _reset_dead(self, z_GND: Tensor, weight_N: Tensor | None) -> None:
        counts_GK = self.counts_GK / self.weight
        floor_G1 = self.reset_below * counts_GK.sum(1, keepdim=True) / self.size
        dead_GK = counts_GK < floor_G1
        n = z_GND.shape[1]
        if weight_N is None:
            picks_K = torch.randint(n, (self.size,), device=z_GND.device)
        else:
            # multinomial refuses all zeros
            picks_K = torch.multinomial(weight_N + 1e-12, self.size, replacement=True)
        # As the raw averages are kept, which `weight` has yet to divide.
        alive_G1 = (counts_GK.sum(1, keepdim=True) / self.size).clamp(min=1e-3) * self.weight
        counts_new = torch.where(dead_GK, alive_G1.expand_as(dead_GK), self.counts_GK)
        fresh_GKD = z_GND[:, picks_K] * alive_G1[..., None]
        self.sums_GKD.copy_(torch.where(dead_GK[..., None], fresh_GKD, self.sums_GKD))
        self.counts_GK.copy_(counts_new)


class GradientCodebook(Quantiser):
    """The plain codebook, moved by its own loss: what most first attempts use.

    Kept for comparison and for the casebook; it leaves most codes unused.
    """

    def __init__(
        self, size: int, width: int, codes_per_position: int = 1, shared: bool = True
    ) -> None:
        super().__init__(size, width, codes_per_position, shared)
        # The start of the nets in the journal, which few codes survive.
        self.codebook_GKD = nn.Parameter(torch.empty(self.books, size, width).uniform_(-0.05, 0.05))

    def choose(self, z_GND: Tensor) -> Tensor:
        return q.nearest(z_GND.detach(), self.codebook_GKD.detach())

    def vectors(self, codes_GN: Tensor) -> Tensor:
        return q.look_up(self.codebook_GKD, codes_GN)


class FiniteScalar(Quantiser):
    """FSQ: every number is bounded and rounded to a few levels. No codebook can collapse, and
    nothing has to draw z to the levels."""

    def __init__(
        self, levels: tuple[int, ...], codes_per_position: int = 1, shared: bool = True
    ) -> None:
        if not levels or min(levels) < 2:
            raise ValueError(f"expected FSQ levels of at least 2, received {list(levels)}")
        size = 1
        for count in levels:
            size *= count
        super().__init__(size, len(levels), codes_per_position, shared)
        self.levels = tuple(levels)

    @property
    def commits(self) -> bool:
        return False

    def prepare(self, z_GND: Tensor) -> Tensor:
        return q.fsq_bounded(z_GND, self.levels)

    def choose(self, z_GND: Tensor) -> Tensor:
        return q.fsq_codes(z_GND, self.levels)

    def vectors(self, codes_GN: Tensor) -> Tensor:
        return q.fsq_vectors(codes_GN, self.levels)
