"""Random cubes of a fragment as a `Source`: where they lie, how they are drawn, how they weigh.

A cube's place is a function of its seed alone, so that any number of workers gives the same
batches; `cube_field` says where cubes may begin and how likely, `block_pool` how they are read from
volumes that no memory can hold.

Shapes: B cubes, D H W a cube (z, y, x). Labels YX, or ZYX (then the middle plane of the cube
counts).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.feed.source import Source
from famulus.feed.streams import permutation, sample_seeds, stream_seed
from famulus.tasks.scroll.block_pool import BlockOrder, BlockPool, Blocks
from famulus.tasks.scroll.cube_field import Field, make_field
from famulus.volumes.bricks import Sizes, empty_cubes
from famulus.volumes.open import Fragment

STATISTICS = 4096  # cubes' worth of voxels that mean and sd are taken from
CHUNK = 64


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
    # one stream and no seed of the run: a scale is part of the data, the same for all seeds
    corners = field.draw(sample_seeds(0x5343, 0, np.arange(STATISTICS // CHUNK)))
    out = np.empty(cube, fragment.volume.dtype)
    total = square = 0.0
    for corner in corners:
        fragment.volume.read(tuple(corner), out)
        # squares of uint16 overflow, and of float32 cancel
        voxels = out.astype(np.float64)
        total, square = total + voxels.mean(), square + (voxels**2).mean()
    mean = total / len(corners)
    # rounding may leave a negative variance where all voxels are alike
    sd = float(np.sqrt(max(square / len(corners) - mean**2, 0.0)))
    if sd == 0:
        raise DataError(f"{fragment.name}: all voxels looked at have the value {mean:g}")
    return Scale(float(mean), sd)


@dataclass(frozen=True)
class Voxels:
    """What stored voxels stand for: their type, and of whole numbers the values at 0 and at full
    range, where they were declared. Without them they are shares, 0 to 1; floats are values."""

    dtype: str
    window: tuple[float, float] | None = None

    @classmethod
    def of(cls, fragment: Fragment) -> "Voxels":
        return cls(fragment.volume.dtype.newbyteorder("=").name, fragment.window)

    def __str__(self) -> str:
        return f"{self.dtype} of values {list(self.window)}" if self.window else self.dtype

    @property
    def are_values(self) -> bool:
        return bool(self.window) or np.dtype(self.dtype).kind == "f"

    @property
    def unit(self) -> tuple[float, float]:
        """The values that 0 and the full range stand for."""
        return self.window or (0.0, 1.0)

    @property
    def full(self) -> float:
        """The voxel that stands for the high end of the unit."""
        return 1.0 if np.dtype(self.dtype).kind == "f" else float(np.iinfo(self.dtype).max)


def carried(scale: Scale, trained: Voxels, other: Voxels, name: str) -> Scale:
    """The scale of a net's training voxels for those of another fragment, called `name`.

    A value v of a voxel is low + (high - low) * voxel / full, in both; a net must see the same
    number for the same value. Raises DataError if one has values and the other only shares.
    """
    if trained.are_values != other.are_values:
        raise DataError(
            f"{name}: {other}, the net was trained on {trained}: convert it with the same window"
            " (data convert --range LOW HIGH)"
        )
    (low, high), (below, above) = trained.unit, other.unit
    # voxels of the other for one voxel of the training fragment
    factor = (high - low) / trained.full * other.full / (above - below)
    shift = (low - below) / (above - below) * other.full
    if factor == 1 and shift == 0:
        return scale
    return Scale(scale.mean * factor + shift, scale.sd * factor)


class CubeSource(Source):
    """Cubes of a fragment: `image` B1DHW, `label` and `weight` BHW where there are labels.

    `draws` random ones from a `Field` (fresh ones for ever, or from a pool, see `order`), or the
    `corners` of a fixed grid. Augmentation turns and mirrors in the plane, never in depth.
    """

    fingerprint: str
    slow: bool

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
        blocks: Blocks | None = None,
    ) -> None:
        self.fragment, self.field, self.scale = fragment, field, scale
        self.corners, self.augment, self.pool, self.reload = corners, augment, pool, reload
        self.draws = len(corners) if corners is not None else (pool or draws)
        if self.draws < 1:
            raise DataError(f"{fragment.name}: expected at least 1 cube, received {self.draws}")
        self.blocks = None if blocks is None else BlockPool(fragment.volume, field, blocks)
        self.slow = blocks is not None  # threads read blocks ahead
        # all that changes what is drawn: two caches with one fingerprint would share cubes
        how = (field.size, scale, self.draws, augment, pool, reload, len(field.places))
        how = how if blocks is None else (*how, blocks)
        grid = "" if corners is None else np.ascontiguousarray(corners).tobytes().hex()[:64]
        self.fingerprint = f"{fragment.fingerprint}/{how}/{grid}/{float(field.weight_YX.sum())}"

    def __len__(self) -> int:
        return self.draws

    def order(self, seed: int) -> "CubeOrder | BlockOrder | None":
        """The order of training: random cubes have their own, a grid the usual one."""
        if self.corners is not None:
            return None
        if self.blocks is not None:
            return BlockOrder(seed, self.blocks.blocks)
        return CubeOrder(seed, self.pool, self.reload)

    def places(self, indices: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Corners B3 (z, y, x)."""
        if self.blocks is not None:
            return self.blocks.places(indices, seeds)
        return self.corners[indices] if self.corners is not None else self.field.draw(seeds)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        corners, size = self.places(indices, seeds), self.field.size
        stored = self.fragment.volume.dtype
        # torch refuses the other byte order
        image = empty_cubes(len(corners), size, stored.newbyteorder("="))
        for out, corner, index in zip(image, corners, indices, strict=True):
            if self.blocks is not None:
                self.blocks.read(int(index), tuple(corner), out)
            else:
                self.fragment.volume.read(tuple(corner), out)
        batch = {"voxels": torch.from_numpy(image)}
        labels = self.fragment.labels
        if labels is not None:
            shape = (len(corners), *size[1:])
            label, weight = np.empty(shape, np.uint8), np.empty(shape, np.float32)
            for i, (z, y, x) in enumerate(corners):
                window = (slice(y, y + size[1]), slice(x, x + size[2]))
                # labels in depth: the middle plane is what a window's answer stands for
                label[i] = labels[window] if labels.ndim == 2 else labels[z + size[0] // 2][window]
                weight[i] = self.field.weight_YX[window]
            batch |= {"label": torch.from_numpy(label), "weight": torch.from_numpy(weight)}
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        batch = dict(batch)
        voxels = batch.pop("voxels")
        # after the move to the device: uint16 is half of float32 on its way
        scaled = voxels.to(torch.float32).sub_(self.scale.mean).div_(self.scale.sd)
        batch["image"] = scaled.contiguous()[:, None]  # depth was innermost
        if "label" in batch:
            batch["label"] = batch["label"].to(torch.float32)
        if self.augment:
            turns = (sample_seeds(2, 0, seeds) % np.uint64(8)).astype(int)
            # the same turn for all three: a label must stay under its pixels
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
    # a quarter turn of a rectangle has another shape and can't be stacked
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
        # one pass's order is kept: a permutation of a pool for every position would be quadratic
        if held is None or held[0] != key:
            held = (key, permutation(self.seed, stream_seed(*key), pool))
            self._pass = held
        return generation * pool + int(held[1][offset])
