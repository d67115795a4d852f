"""How much worse a net answers near the border of its window, and the margin to cut off.

The same pixel is predicted by many windows, near the border of some and at the centre of others.
Only what a pixel costs more than it costs at the centre counts: a loss that is averaged over rings
of windows side by side compares different pixels, and differs with what is written there.

Shapes: W windows of P x P, area Y X that they lie in, K blocks of it, R = ceil(P / 2) distances,
0 outermost. Source: this project's.
"""

from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.02  # of the loss at the centre
DRAWS = 200  # enough for the 5 and 95 % quantiles


def ring(size: int) -> np.ndarray:
    """Distance of each pixel of a square to its border: PP, 0 outermost."""
    near = np.minimum(np.arange(size), np.arange(size)[::-1])
    return np.minimum(near[:, None], near)


def inner(size: int) -> int:
    """Distance from which on a pixel counts as the centre: the innermost quarter."""
    rings = (size + 1) // 2
    return rings - max(1, rings // 4)


@dataclass(frozen=True)
class Excess:
    """Sums over pairs of a pixel and a window, by block and distance."""

    there_KR: np.ndarray  # loss at this distance
    centre_KR: np.ndarray  # loss of the same pixels at the centre

    def curve(self, picks: np.ndarray | slice = slice(None)) -> np.ndarray:
        """L(r) / L(centre) - 1 over the picked blocks; NaN where nothing was seen."""
        # distances that no pixel has give 0 / 0, which is the NaN that is meant
        with np.errstate(invalid="ignore", divide="ignore"):
            # sums first and one ratio: a mean of ratios is ruled by pixels whose loss is near 0
            return self.there_KR[picks].sum(0) / self.centre_KR[picks].sum(0) - 1

    def __add__(self, other: "Excess") -> "Excess":
        """Blocks of both."""
        return Excess(
            np.concatenate([self.there_KR, other.there_KR]),
            np.concatenate([self.centre_KR, other.centre_KR]),
        )


def paired(
    loss_WPP: np.ndarray, corners_W2: np.ndarray, valid_YX: np.ndarray, block: int
) -> Excess:
    """From overlapping windows at `corners_W2` (y, x) of an area; only `valid_YX` pixels count."""
    size = loss_WPP.shape[-1]
    rings = ring(size)
    middle = rings >= inner(size)
    total, seen = np.zeros(valid_YX.shape), np.zeros(valid_YX.shape)
    places = [(slice(y, y + size), slice(x, x + size)) for y, x in corners_W2]
    for loss, place in zip(loss_WPP, places, strict=True):
        total[place] += loss * middle
        seen[place] += middle
    # only pixels that some window has at its centre can be compared with themselves
    known = (seen > 0) & valid_YX
    centre = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    # a pixel's neighbours share its ink and its texture: blocks are what is independent
    across = -(-valid_YX.shape[1] // block)
    y, x = np.indices(valid_YX.shape) // block
    which = y * across + x
    blocks, distances = int(which.max()) + 1, int(rings.max()) + 1
    there, same = (np.zeros(blocks * distances) for _ in range(2))
    for loss, place in zip(loss_WPP, places, strict=True):
        at = (which[place] * distances + rings)[known[place]]
        there += np.bincount(at, loss[known[place]], minlength=len(there))
        same += np.bincount(at, centre[place][known[place]], minlength=len(same))
    filled = np.bincount(which[known], minlength=blocks) > 0
    return Excess(*(sums.reshape(blocks, distances)[filled] for sums in (there, same)))


@dataclass(frozen=True)
class Margin:
    """Pixels to cut off each side of a window, with a 90 % interval over blocks."""

    value: int
    low: int
    high: int
    worst: float  # greatest L(r) / L(centre) - 1

    def words(self, size: int, tolerance: float = TOLERANCE) -> str:
        """One sentence: what to do."""
        far, limit = self.high - self.low, f"{tolerance:.0%} of the loss at the centre"
        if far > size // 4:
            return (
                f"cannot tell: between {self.low} and {self.high} voxels; the area measured is "
                "too small, or has too little ink"
            )
        if not self.value:
            return f"no margin needed: near the border the loss is within {limit}"
        more = f"at worst {self.worst:+.0%}"
        if self.value >= inner(size):
            return (
                f"no place is free of the border ({more}): use larger windows, or a net that looks "
                "less far"
            )
        return (
            f"margin={self.value} ({self.low} to {self.high}): nearer to the border the loss is "
            f"more than {limit} above it, {more}"
        )


def margin(excess: Excess, size: int, tolerance: float = TOLERANCE, seed: int = 0) -> Margin:
    """Smallest m with L(r) <= (1 + tolerance) L(centre) for all r >= m, at most `inner(size)`;
    the interval is a bootstrap over blocks.
    """
    edge = inner(size)

    def smallest(curve_R: np.ndarray) -> int:
        # the last bad ring, not the first good one: a curve may dip below the limit and rise again
        bad = np.flatnonzero(curve_R[:edge] > tolerance)
        return int(bad[-1]) + 1 if len(bad) else 0

    # blocks are drawn, not pixels: neighbours are no independent witnesses
    rng, count = np.random.default_rng(seed), len(excess.there_KR)
    drawn = [smallest(excess.curve(rng.integers(0, count, count))) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.05, 0.95])
    whole = excess.curve()
    worst = float(np.nanmax(whole)) if np.isfinite(whole).any() else float("nan")
    return Margin(smallest(whole), int(low), int(high), worst)
