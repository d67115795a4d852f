"""Where cubes may begin and how likely: uniform in a region, or with a share on edges of ink.

Centres come from q = (1 - a) uniform + a edge; a pixel is then met with Q = boxfilter(q), and its
loss weighs u / Q (u: Q under uniform centres), at most 1 / (1 - a), so that a mean over cubes stays
the mean over the fragment.

Shapes: B cubes, Z Y X the volume. Labels YX, or ZYX.
Source: importance sampling as in Kahn & Marshall 1953, doi:10.1287/opre.1.5.263.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.feed.streams import sample_seeds
from famulus.tasks.scroll.regions import Box
from famulus.volumes.bricks import Sizes
from famulus.volumes.open import Fragment


@dataclass(frozen=True)
class Field:
    """Where cubes begin: `corner_YX` says how likely each (y, x) is; z is uniform."""

    size: Sizes
    deep: int  # how many values z may take
    places: np.ndarray  # int64, flat index of each allowed corner
    cumulative: np.ndarray  # float64, of their probabilities
    weight_YX: np.ndarray  # float32 u / Q: what a pixel's loss weighs
    wide: int  # X of the fragment

    def draw(self, seeds_B: np.ndarray) -> np.ndarray:
        """Corners B3 (z, y, x) from one 64 bit seed a cube."""
        # a float64 holds 53 bits: more of them could round up to 1
        uniform = (seeds_B >> np.uint64(11)).astype(np.float64) / (1 << 53)
        at = np.searchsorted(self.cumulative, uniform * self.cumulative[-1], side="right")
        # the product may round up to the last sum, beyond which there is no place
        place = self.places[np.minimum(at, len(self.places) - 1)]
        # hashed again: bits of one number for both would tie depth to place
        second = sample_seeds(1, 0, seeds_B)
        z = (second % np.uint64(self.deep)).astype(np.int64)
        return np.stack([z, place // self.wide, place % self.wide], 1)

    @property
    def effective(self) -> float:
        """(E w)^2 / E w^2 over pixels as they are met, Q = u / w: 1 without weights."""
        # the effective size of a weighted sample: what a mean over it is worth in equal ones
        w = self.weight_YX[self.weight_YX > 0].astype(np.float64)
        return float(1 / ((1 / w).mean() * w.mean()))


def edges_of(labels_YX: np.ndarray) -> np.ndarray:
    """bool YX: pixels where a neighbour below or to the right has another label.

    The picture's border is no edge, whatever lies there.
    """
    edge = np.zeros(labels_YX.shape, bool)
    edge[:-1] |= labels_YX[:-1] != labels_YX[1:]
    edge[:, :-1] |= labels_YX[:, :-1] != labels_YX[:, 1:]
    return edge


def allowed_corners(region_YX: np.ndarray, size: Sizes, cover: float) -> np.ndarray:
    """bool (Y - H + 1, X - W + 1): the window lies in the picture, its share `cover` in the region.

    With cover 1 no pixel of the window is outside.
    """
    _, h, w = size
    if region_YX.shape[0] < h or region_YX.shape[1] < w:
        raise DataError(f"cube {size}: larger than the fragment {region_YX.shape} (y, x)")
    # an integral image: a window's sum is four look-ups, whatever its size
    total = np.zeros((region_YX.shape[0] + 1, region_YX.shape[1] + 1), np.int64)
    total[1:, 1:] = region_YX.astype(np.int64).cumsum(0).cumsum(1)
    inside = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    # at least one pixel: a share of nearly 0 would allow windows that see nothing of the region
    return inside >= max(1, int(np.ceil(cover * h * w)))


def make_field(
    fragment: Fragment,
    region_YX: np.ndarray,
    size: Sizes,
    edges: float = 0.0,
    cover: float = 1.0,
    weighted: bool = True,
    room_YX: np.ndarray | None = None,
) -> Field:
    """Density of corners for cubes of `size` in `region_YX`; share `edges` has an ink edge at its
    centre. `room_YX`: what no cube leaves, whatever `cover` allows.

    Raises DataError if no cube fits, ConfigError if edges are asked for without labels,
    or weights of edges alone.
    """
    deep, _, wide = fragment.volume.shape
    if size[0] > deep:
        raise DataError(f"{fragment.name}: cube of {size[0]} planes, the volume has {deep}")
    allowed = allowed_corners(region_YX, size, cover)
    if room_YX is not None:
        allowed &= allowed_corners(room_YX, size, 1.0)
    if not allowed.any():
        raise DataError(
            f"{fragment.name}: no cube of {size} fits into its region "
            f"({int(region_YX.sum())} pixels, cover {cover}): smaller cubes, data.cover below 1"
            + ("" if room_YX is None else ", or a smaller data.gap")
        )
    uniform = allowed / allowed.sum()
    density, weight = uniform, region_YX.astype(np.float32)
    if edges > 0:
        if weighted and edges == 1:
            raise ConfigError(
                "data.edges: cubes on edges alone leave pixels out, for which no weight makes up: "
                "expected edges below 1, or data.weighted: false",
                cause="option-without-effect",
            )
        if fragment.labels is None or fragment.labels.ndim != 2:
            raise ConfigError(f"data.edges: {fragment.name} has no labels (y, x) to find edges in")
        edge = edges_of(fragment.labels)
        h, w = size[1] // 2, size[2] // 2  # corner of the window whose centre is the edge pixel
        centred = np.zeros(allowed.shape)
        part = edge[h : h + allowed.shape[0], w : w + allowed.shape[1]]
        centred[: part.shape[0], : part.shape[1]] = part
        centred *= allowed
        if not centred.any():
            raise DataError(f"{fragment.name}: data.edges: no edge of a label has room for a cube")
        density = (1 - edges) * uniform + edges * centred / centred.sum()
        if weighted:
            # the weight is of pixels, not of centres: a pixel is met by every window that covers it
            seen, fair = _met(density, size, region_YX.shape), _met(uniform, size, region_YX.shape)
            # cumulative sums leave rounding of this size where no window reaches
            weight = np.divide(fair, seen, out=np.zeros_like(fair), where=seen > 1e-12)
            # rounding at the rim again: the exact ratio can't be larger, by the uniform share alone
            weight = np.minimum(weight, 1 / (1 - edges)).astype(np.float32) * region_YX
    y, x = np.nonzero(density)
    return Field(size, deep - size[0] + 1, y * wide + x, density[y, x].cumsum(), weight, wide)


def _met(density: np.ndarray, size: Sizes, shape: tuple[int, int]) -> np.ndarray:
    """How often a pixel is in a cube: the density of corners, summed over the window before it."""
    _, h, w = size
    padded = np.pad(density, ((h - 1, h - 1), (w - 1, w - 1)))
    total = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    met = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    # differences of cumulative sums may round below 0
    return np.maximum(met[: shape[0], : shape[1]], 0)


def grid_corners(
    region_YX: np.ndarray,
    size: Sizes,
    deep: int,
    cover: float = 0.5,
    blocks: Sequence[Box] | None = None,
    depths: int = 1,
) -> np.ndarray:
    """Corners B3 of windows side by side, a share `cover` of each in the region.

    `depths`: how many lie one above the other, at most as many as fit; 1: in the middle.
    `blocks`: each has its own windows, from its corner on, and none leaves it: what lies nearby may
    be trained on. Without blocks they lie anywhere. Raises DataError if there are none.
    """
    allowed = allowed_corners(region_YX, size, cover)
    _, h, w = size
    y, x = [], []
    for y0, x0, y1, x1 in blocks or [(0, 0, *region_YX.shape)]:
        rows, columns = np.mgrid[y0 : y1 - h + 1 : h, x0 : x1 - w + 1 : w]
        keep = allowed[rows, columns]
        y.append(rows[keep])
        x.append(columns[keep])
    y_B, x_B = np.concatenate(y), np.concatenate(x)
    if not len(y_B):
        raise DataError(
            f"validation: no window of {size} lies whole in a block, {cover:.0%} in the mask: "
            "larger data.block, or smaller cubes"
            if blocks
            else f"validation: no window of {size} lies in the mask by {cover:.0%}: smaller cubes"
        )
    room = deep - size[0]
    depths = min(depths, deep // size[0])
    # the middle of the depth: where `apply` lays its windows unless told
    z = np.linspace(0, room, depths).astype(np.int64) if depths > 1 else np.array([room // 2])
    across = np.stack([y_B, x_B], 1)
    return np.concatenate([np.repeat(z, len(y_B))[:, None], np.tile(across, (len(z), 1))], 1)


def describe(field: Field) -> dict[str, Any]:
    """Facts for a report: how many corners, the largest weight, the effective share of samples."""
    return {
        "corners": len(field.places),
        "largest weight": round(float(field.weight_YX.max()), 3),
        "effective samples": round(field.effective, 3),
    }
