"""Random cubes of a fragment as a `Source`: where they lie, how they are drawn, how they weigh.

A cube's place is a function of its seed alone, so that any number of workers gives the same
batches. Centres come from q = (1 - a) uniform + a edge; a pixel is then met with
Q = boxfilter(q), and its loss weighs u / Q (u: Q under uniform centres), at most 1 / (1 - a), so
that a mean over cubes stays the mean over the fragment.

Shapes: B cubes, D H W a cube (z, y, x), Z Y X the volume. Labels YX, or ZYX (then the middle plane
of the cube counts).
Source: importance sampling as in Kahn & Marshall 1953, doi:10.1287/opre.1.5.263.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from famulus.config.errors import ConfigError, DataError
from famulus.data.bricks import Sizes, empty_cubes
from famulus.data.streams import permutation, sample_seeds, stream_seed
from famulus.data.volumes import Fragment

Box = tuple[int, int, int, int]  # y0, x0, y1, x1; the last two are outside
STATISTICS = 4096  # cubes' worth of voxels that mean and sd are taken from
CHUNK = 64


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
        uniform = (seeds_B >> np.uint64(11)).astype(np.float64) / (1 << 53)
        at = np.searchsorted(self.cumulative, uniform * self.cumulative[-1], side="right")
        place = self.places[np.minimum(at, len(self.places) - 1)]
        second = sample_seeds(1, 0, seeds_B)
        z = (second % np.uint64(self.deep)).astype(np.int64)
        return np.stack([z, place // self.wide, place % self.wide], 1)

    @property
    def effective(self) -> float:
        """(E w)^2 / E w^2 over pixels as they are met, Q = u / w: 1 without weights."""
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
    total = np.zeros((region_YX.shape[0] + 1, region_YX.shape[1] + 1), np.int64)
    total[1:, 1:] = region_YX.astype(np.int64).cumsum(0).cumsum(1)
    inside = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    return inside >= max(1, int(np.ceil(cover * h * w)))


def make_field(
    fragment: Fragment,
    region_YX: np.ndarray,
    size: Sizes,
    edges: float = 0.0,
    cover: float = 1.0,
    weighted: bool = True,
) -> Field:
    """Density of corners for cubes of `size` in `region_YX`; share `edges` has an ink edge at its
    centre. Raises DataError if no cube fits, ConfigError if edges are asked for without labels.
    """
    deep, _, wide = fragment.volume.shape
    if size[0] > deep:
        raise DataError(f"{fragment.name}: cube of {size[0]} planes, the volume has {deep}")
    allowed = allowed_corners(region_YX, size, cover)
    if not allowed.any():
        raise DataError(
            f"{fragment.name}: no cube of {size} fits into its region "
            f"({int(region_YX.sum())} pixels, cover {cover}): smaller cubes, or data.cover below 1"
        )
    uniform = allowed / allowed.sum()
    density, weight = uniform, region_YX.astype(np.float32)
    if edges > 0:
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
        if weighted and edges < 1:
            seen, fair = _met(density, size, region_YX.shape), _met(uniform, size, region_YX.shape)
            weight = np.divide(fair, seen, out=np.zeros_like(fair), where=seen > 1e-12)
            weight = np.minimum(weight, 1 / (1 - edges)).astype(np.float32) * region_YX
    y, x = np.nonzero(density)
    return Field(size, deep - size[0] + 1, y * wide + x, density[y, x].cumsum(), weight, wide)


def _met(density: np.ndarray, size: Sizes, shape: tuple[int, int]) -> np.ndarray:
    """How often a pixel is in a cube: the density of corners, summed over the window before it."""
    _, h, w = size
    padded = np.pad(density, ((h - 1, h - 1), (w - 1, w - 1)))
    total = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    met = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    return np.maximum(met[: shape[0], : shape[1]], 0)


def split_blocks(
    mask_YX: np.ndarray, share: float, gap: int, block: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(train, validation): bool YX, by square blocks, at least `gap` pixels apart.

    `block` defaults to a quarter of the shorter side. Raises DataError if either side is empty.
    """
    tall, wide = mask_YX.shape
    block = block or max(1, min(tall, wide) // 4)
    grid = (-(-tall // block), -(-wide // block))
    inked = np.add.reduceat(
        np.add.reduceat(mask_YX.astype(np.int64), np.arange(0, tall, block), 0),
        np.arange(0, wide, block),
        1,
    )
    held = np.zeros(grid, bool)
    for flat in permutation(seed, 0, grid[0] * grid[1]):  # until the share is reached
        if inked[held].sum() >= share * inked.sum():
            break
        held[np.unravel_index(flat, grid)] = True
    held_YX = np.kron(held, np.ones((block, block), bool))[:tall, :wide]
    near = (
        ndimage.binary_dilation(held_YX, np.ones((3, 3), bool), iterations=gap) if gap else held_YX
    )
    train, validation = mask_YX & ~near, mask_YX & held_YX
    if not train.any() or not validation.any():
        raise DataError(
            f"blocked split: share {share}, blocks of {block} and a gap of {gap} leave "
            f"{int(train.sum())} pixels to train and {int(validation.sum())} to validate"
        )
    return train, validation


def box_mask(mask_YX: np.ndarray, box: Box | None) -> np.ndarray:
    """The mask inside a "safe box" (y0, x0, y1, x1). Raises DataError if it is empty or outside."""
    if box is None:
        return mask_YX
    y0, x0, y1, x1 = box
    if not (0 <= y0 < y1 <= mask_YX.shape[0] and 0 <= x0 < x1 <= mask_YX.shape[1]):
        raise DataError(f"data.box: expected y0 x0 y1 x1 inside {mask_YX.shape}, received {box}")
    boxed = np.zeros_like(mask_YX)
    boxed[y0:y1, x0:x1] = mask_YX[y0:y1, x0:x1]
    if not boxed.any():
        raise DataError(f"data.box: {box} holds no pixel of the mask")
    return boxed


@dataclass(frozen=True)
class Scale:
    """Voxels to numbers for a net: (v - mean) / sd, or v / full range."""

    mean: float
    sd: float


def scale_of(fragment: Fragment, region_YX: np.ndarray, kind: str, cube: Sizes) -> Scale:
    """`zscore` from a sample of the region (training data only), `range` from the type."""
    if kind == "range":
        full = 1.0 if fragment.volume.dtype.kind == "f" else np.iinfo(fragment.volume.dtype).max
        return Scale(0.0, float(full))
    field = make_field(fragment, region_YX, cube)
    corners = field.draw(sample_seeds(0x5343, 0, np.arange(STATISTICS // CHUNK)))
    out = np.empty(cube, fragment.volume.dtype)
    total = square = 0.0
    for corner in corners:
        fragment.volume.read(tuple(corner), out)
        voxels = out.astype(np.float64)
        total, square = total + voxels.mean(), square + (voxels**2).mean()
    mean = total / len(corners)
    sd = float(np.sqrt(max(square / len(corners) - mean**2, 0.0)))
    if sd == 0:
        raise DataError(f"{fragment.name}: all voxels looked at have the value {mean:g}")
    return Scale(float(mean), sd)


class CubeSource:
    """Cubes of a fragment: `image` B1DHW, `label` and `weight` BHW where there are labels.

    `draws` random ones from a `Field` (fresh ones for ever, or from a pool, see `order`), or the
    `corners` of a fixed grid. Augmentation turns and mirrors in the plane, never in depth.
    """

    def __init__(
        self,
        fragment: Fragment,
        field: Field,
        scale: Scale,
        draws: int,
        *,
        corners: np.ndarray | None = None,
        augment: bool = False,
        pool: int | None = None,
        reload: int | None = None,
    ) -> None:
        self.fragment, self.field, self.scale = fragment, field, scale
        self.corners, self.augment, self.pool, self.reload = corners, augment, pool, reload
        self.draws = len(corners) if corners is not None else (pool or draws)
        if self.draws < 1:
            raise DataError(f"{fragment.name}: expected at least 1 cube, received {self.draws}")
        how = (field.size, scale, self.draws, augment, pool, reload, len(field.places))
        grid = "" if corners is None else np.ascontiguousarray(corners).tobytes().hex()[:64]
        self.fingerprint = f"{fragment.fingerprint}/{how}/{grid}/{float(field.weight_YX.sum())}"

    def __len__(self) -> int:
        return self.draws

    def order(self, seed: int) -> "CubeOrder | None":
        """The order of training: random cubes have their own, a grid the usual one."""
        if self.corners is not None:
            return None
        return CubeOrder(seed, self.pool, self.reload)

    def places(self, indices: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Corners B3 (z, y, x)."""
        return self.corners[indices] if self.corners is not None else self.field.draw(seeds)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        corners, size = self.places(indices, seeds), self.field.size
        stored = self.fragment.volume.dtype
        image = empty_cubes(len(corners), size, stored.newbyteorder("="))
        for out, corner in zip(image, corners, strict=True):
            self.fragment.volume.read(tuple(corner), out)
        batch = {"voxels": torch.from_numpy(image)}
        labels = self.fragment.labels
        if labels is not None:
            shape = (len(corners), *size[1:])
            label, weight = np.empty(shape, np.uint8), np.empty(shape, np.float32)
            for i, (z, y, x) in enumerate(corners):
                window = (slice(y, y + size[1]), slice(x, x + size[2]))
                label[i] = labels[window] if labels.ndim == 2 else labels[z + size[0] // 2][window]
                weight[i] = self.field.weight_YX[window]
            batch |= {"label": torch.from_numpy(label), "weight": torch.from_numpy(weight)}
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        batch = dict(batch)
        voxels = batch.pop("voxels")
        scaled = voxels.to(torch.float32).sub_(self.scale.mean).div_(self.scale.sd)
        batch["image"] = scaled.contiguous()[:, None]  # depth was innermost
        if "label" in batch:
            batch["label"] = batch["label"].to(torch.float32)
        if self.augment:
            turns = (sample_seeds(2, 0, seeds) % np.uint64(8)).astype(int)
            for name in ("image", "label", "weight"):
                if name in batch:
                    batch[name] = turned(batch[name], turns)
        return batch

    def to(self, device: torch.device) -> "CubeSource":
        return self


def turned(x: Tensor, turns_B: np.ndarray) -> Tensor:
    """The last two axes turned by 90 degrees `t % 4` times and mirrored if t >= 4, each on its own.

    Where height and width differ, only half turns are made.
    """
    square = x.shape[-1] == x.shape[-2]
    rows = []
    for row, t in zip(x, turns_B.tolist(), strict=True):
        row = torch.rot90(row, t % 4 if square else 2 * (t % 2), (-2, -1))
        rows.append(row.flip(-1) if t >= 4 else row)
    return torch.stack(rows)


class CubeOrder:
    """The stream of random cubes. Position p has index p, and its own seed: nothing repeats.

    With a pool of N reloaded every K inputs, position p belongs to generation p // K, whose N
    cubes are shown in passes of their own order: each keeps its seed until the pool is reloaded.
    """

    def __init__(self, seed: int, pool: int | None = None, reload: int | None = None) -> None:
        self.seed, self.pool, self.reload = seed, pool, reload
        self._pass: tuple[tuple[int, int], np.ndarray] | None = None

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(indices int64, seeds uint64) at the positions start .. start + count - 1."""
        at = np.arange(start, start + count, dtype=np.int64)
        if self.pool is not None:
            at = np.array([self._slot(int(p)) for p in at], np.int64)
        return at, sample_seeds(self.seed, 0x504F, at)

    def _slot(self, position: int) -> int:
        pool = self.pool or 1
        generation, inside = divmod(position, self.reload) if self.reload else (0, position)
        key, offset = (generation, inside // pool), inside % pool
        held = self._pass
        if held is None or held[0] != key:
            held = (key, permutation(self.seed, stream_seed(*key), pool))
            self._pass = held
        return generation * pool + int(held[1][offset])


def grid_corners(region_YX: np.ndarray, size: Sizes, deep: int, cover: float = 0.5) -> np.ndarray:
    """Corners B3 of windows side by side, a share `cover` of each in the region, z in the middle.

    Raises DataError if there are none.
    """
    allowed = allowed_corners(region_YX, size, cover)
    y, x = np.mgrid[: allowed.shape[0] : size[1], : allowed.shape[1] : size[2]]
    keep = allowed[y, x]
    if not keep.any():
        raise DataError(f"validation: no window of {size} lies in its region: larger blocks")
    z = np.full(int(keep.sum()), (deep - size[0]) // 2)
    return np.stack([z, y[keep], x[keep]], 1)


def describe(field: Field) -> dict[str, Any]:
    """Facts for a report: how many corners, the largest weight, the effective share of samples."""
    return {
        "corners": len(field.places),
        "largest weight": round(float(field.weight_YX.max()), 3),
        "effective samples": round(field.effective, 3),
    }
