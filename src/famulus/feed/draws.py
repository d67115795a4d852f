"""Random numbers as functions of one integer a sample: the same on every worker and device.

Shapes: B samples, K numbers each. Seeds are int64 (the bits of `Source.finish`'s uint64).
Source of the mixer: Steele, Lea & Flood 2014 (SplitMix64), doi:10.1145/2660193.2660195.
"""

import numpy as np
import torch
from torch import Tensor

# SplitMix64's, as signed numbers: torch has no arithmetic of 64 unsigned bits.
_GOLDEN, _A, _B = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def seeds_of(seeds: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """int64 B with the bits of uint64 `seeds`."""
    return torch.from_numpy(np.ascontiguousarray(seeds, np.uint64).view(np.int64)).to(device)


def _mix(x: Tensor) -> Tensor:
    """One SplitMix64 output; integer products wrap, right shifts must not keep the sign."""
    x = x + _GOLDEN
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _A
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _B
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def children(seeds_B: Tensor, number: int | Tensor) -> Tensor:
    """int64 B: a seed of its own for each (seed, number)."""
    number_B = torch.as_tensor(number, dtype=torch.int64, device=seeds_B.device).expand_as(seeds_B)
    return _mix(seeds_B ^ _mix(number_B))


def uniforms(seeds_B: Tensor, stream: int, count: int) -> Tensor:
    """float32 BK in [0, 1): multiples of 2^-24, so exact. Streams and samples are independent."""
    state_B = _mix(_mix(seeds_B) ^ _mix(torch.full_like(seeds_B, stream)))
    counter_K = torch.arange(count, device=seeds_B.device)
    bits_BK = _mix(state_B[:, None] + counter_K * _GOLDEN)
    return ((bits_BK >> 40) & 0xFFFFFF).to(torch.float32) / (1 << 24)


def normals(seeds_B: Tensor, stream: int, count: int) -> Tensor:
    """float32 BK of N(0, 1), by Box and Muller."""
    half = (count + 1) // 2
    u_BK = uniforms(seeds_B, stream, 2 * half)
    # u may be 0 but never 1, so the logarithm stays finite.
    radius = (-2 * torch.log1p(-u_BK[:, :half])).sqrt()
    angle = 2 * torch.pi * u_BK[:, half:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]


def integers(seeds_B: Tensor, stream: int, count: int, below: int) -> Tensor:
    """int64 BK in 0 .. below - 1."""
    # In float64, where the product can't round up to `below` itself.
    return (uniforms(seeds_B, stream, count).double() * below).long()


def distinct(seeds_B: Tensor, stream: int, count: int, below: int) -> Tensor:
    """int64 BK, K different numbers of 0 .. below - 1 a sample, all sets equally likely.

    Raises ValueError if there are not enough numbers.
    """
    if not 0 <= count <= below:
        raise ValueError(f"expected at most {below} different numbers, received a need of {count}")
    # In float64, where a product can't round up to the number of those that are left.
    u_BK = uniforms(seeds_B, stream, count).double()
    chosen: list[Tensor] = []
    for k in range(count):
        pick_B = (u_BK[:, k] * (below - k)).long()
        if chosen:  # step over the earlier ones, smallest first
            for taken_B in torch.stack(chosen, 1).sort(1).values.unbind(1):
                pick_B = pick_B + (pick_B >= taken_B)
        chosen.append(pick_B)
    if not chosen:
        return torch.empty(len(seeds_B), 0, dtype=torch.int64, device=seeds_B.device)
    return torch.stack(chosen, 1)


def shuffled(seeds_B: Tensor, stream: int, count: int) -> Tensor:
    """int64 BK: a permutation of 0 .. K - 1 a sample."""
    # Stable: equal keys have one order on every device.
    return uniforms(seeds_B, stream, count).argsort(dim=1, stable=True)


def chances(seeds_B: Tensor, stream: int, share: float) -> Tensor:
    """bool B: True with probability `share`, exactly never at 0 and always at 1."""
    # u is below 1 and not below 0: hence the exact ends
    return uniforms(seeds_B, stream, 1)[:, 0] < share
