"""Random cubes out of a few blocks held in memory, for volumes that no memory and no map can hold.

A block is `side` corners wide and deep and carries the margin that cubes beginning there need; it
is read once, gives `draws` cubes on average and is dropped. Slots are renewed one after the other,
so that a few blocks are fresh at any time. Which block a cube comes from follows from its position
alone: a resumed run reads the same blocks again and goes on with the same cubes.

A block is chosen as often as the cubes that begin in it would be, and a cube within it by the same
density: over many blocks, cubes are distributed as without blocks. What changes is that cubes near
in time share a block: two of a batch with chance 1 / blocks.

Shapes: corners are (z, y, x). Units: voxels.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.streams import sample_seeds, stream_seed
from famulus.tasks.scroll.cube_field import Field
from famulus.volumes.bricks import Sizes, deep_last, inside

MOST_BYTES = 64 << 30  # of all blocks together
SPARE = 4  # blocks kept beyond those in use: threads read ahead
DRAWN = 1 << 62  # marks a key of `BlockOrder`; smaller ones are plain indices of samples


@dataclass(frozen=True)
class Blocks:
    """How many blocks are held, how large they are, how many cubes each gives on average."""

    count: int
    side: int
    draws: int

    def bytes(self, size: Sizes, whole: Sizes, itemsize: int) -> int:
        """Of all blocks held, spare ones included."""
        sides = (min(self.side + n - 1, w) for n, w in zip(size, whole, strict=True))
        return (self.count + SPARE) * int(np.prod(list(sides), dtype=np.int64)) * itemsize


class BlockOrder:
    """Positions to (block, seed): the index of a sample is the key of its block."""

    def __init__(self, seed: int, blocks: Blocks) -> None:
        self.seed, self.blocks = seed, blocks

    def batch(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(keys int64, seeds uint64) at the positions start .. start + count - 1."""
        at = np.arange(start, start + count, dtype=np.int64)
        b = self.blocks
        # two numbers of one position need streams of their own: slot and place would be tied else
        slot = (sample_seeds(self.seed, 0x424C, at) % np.uint64(b.count)).astype(np.int64)
        # slots are renewed in turn, `draws` positions apart: no moment at which all blocks are read
        # anew
        generation = (at + slot * b.draws) // (b.count * b.draws)
        pairs = zip(slot.tolist(), generation.tolist(), strict=True)
        # no plain index is as large: keys and indices can't meet
        keys = [stream_seed(self.seed, 0x424B, s, g) | DRAWN for s, g in pairs]
        return np.array(keys, np.int64), sample_seeds(self.seed, 0x504F, at)


@dataclass
class _Block:
    start: Sizes
    voxels: np.ndarray  # ZYX, depth innermost in memory
    deep: int  # corners along z
    places: np.ndarray  # flat (y, x) of its corners
    cumulative: np.ndarray


@dataclass
class BlockPool:
    """Cubes of `volume` through blocks. Threads may share it: each block is read by one of them."""

    volume: Any  # shape, dtype, read(start, out)
    corners: Field
    blocks: Blocks
    _held: OrderedDict[int, _Block] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: dict[int, threading.Lock] = field(default_factory=dict)
    read_blocks: int = 0

    def __post_init__(self) -> None:
        whole, size = self.volume.shape, self.corners.size
        needed = self.blocks.bytes(size, whole, self.volume.dtype.itemsize)
        if needed > MOST_BYTES:
            raise DataError(f"data.blocks: {needed / 1e9:.1f} GB: fewer or smaller blocks")
        side, tall = self.blocks.side, whole[1]
        self._across = -(-self.corners.wide // side)
        y, x = np.divmod(self.corners.places, self.corners.wide)
        chance = np.diff(self.corners.cumulative, prepend=0.0)
        cells = -(-tall // side) * self._across
        self._mass = np.bincount(y // side * self._across + x // side, chance, cells).cumsum()

    def places(self, keys_B: np.ndarray, seeds_B: np.ndarray) -> np.ndarray:
        """Corners B3 (z, y, x)."""
        pairs = zip(keys_B, seeds_B, strict=True)
        return np.array([self._corner(self.block(int(k)), s) for k, s in pairs], np.int64)

    def read(self, key: int, start: Sizes, out_ZYX: np.ndarray) -> None:
        """Fills `out_ZYX` from the block `key`, in which the cube at `start` must lie."""
        block = self.block(key)
        within = tuple(a - b for a, b in zip(start, block.start, strict=True))
        z, y, x = inside(within, out_ZYX.shape, block.voxels.shape)  # type: ignore[arg-type]
        out_ZYX[:] = block.voxels[z, y, x]

    def block(self, key: int) -> _Block:
        """From memory, else read. Plain indices (of rehearsals) share `count` blocks."""
        # a rehearsal (a fixed batch, a doctor's look) asks for indices: without it each would read
        # a block
        key = key if key & DRAWN else key % self.blocks.count
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            # one lock a block: others go on drawing from theirs while this one is read
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            # another thread may have read it while this one waited
            with self._lock:
                if key in self._held:
                    return self._held[key]
            block = self._load(key)
            # only now: a block that is half read is never seen
            with self._lock:
                self._held[key] = block
                self._reading.pop(key, None)
                self.read_blocks += 1
                while len(self._held) > self.blocks.count + SPARE:
                    self._held.popitem(last=False)
            return block

    def _corner(self, block: _Block, seed: np.uint64) -> tuple[int, int, int]:
        # 53 bits are what a float64 holds: all 64 could round up to 1
        uniform = float(seed >> np.uint64(11)) / (1 << 53) * block.cumulative[-1]
        # the product may round up to the last sum, beyond which nothing lies
        at = min(int(np.searchsorted(block.cumulative, uniform, "right")), len(block.places) - 1)
        # hashed again: the low bits of the number that chose the place would tie depth to it
        second = int(sample_seeds(1, 0, np.array([seed]))[0])
        y, x = divmod(int(block.places[at]), self.corners.wide)
        return block.start[0] + second % block.deep, y, x

    def _load(self, key: int) -> _Block:
        """The block that `key` stands for: its cell by chance as its corners have, then voxels."""
        side, size, whole = self.blocks.side, self.corners.size, self.volume.shape
        # 63 bits are in the key: 53 of them, as above
        one, two = (float(stream_seed(key, k) >> 10) / (1 << 53) for k in (1, 2))
        cell = int(np.searchsorted(self._mass, one * self._mass[-1], "right"))
        row, column = divmod(min(cell, len(self._mass) - 1), self._across)
        places, chance = self._within(row * side, column * side)
        z = int(two * self.corners.deep) // side * side  # by its share of the corners in depth
        deep = min(side, self.corners.deep - z)
        start = (z, row * side, column * side)
        sizes = [min(s + n - 1, w - a) for s, n, w, a in zip(
            (deep, side, side), size, whole, start, strict=True)]  # fmt: skip
        # bytes in the machine's order: swapping those of every cube would cost more than its
        # reading
        voxels = deep_last(np.empty(sizes, self.volume.dtype.newbyteorder("=")))
        self.volume.read(start, voxels)
        # once a block: looking at every cube would be a pass over each
        if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
            raise DataError(f"the volume holds NaN or infinite voxels in the block at {start}")
        return _Block(start, voxels, deep, places, chance.cumsum())

    def _within(self, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
        """(flat corners, their chances) of one cell; `places` ascend, so rows are runs."""
        side, field_ = self.blocks.side, self.corners
        rows = (top + np.arange(side)) * field_.wide
        begin = np.searchsorted(field_.places, rows + left)
        end = np.searchsorted(field_.places, rows + min(left + side, field_.wide))
        at = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
        # the sums are cumulative over the fragment
        before = np.where(at > 0, field_.cumulative[at - 1], 0.0)
        return field_.places[at], field_.cumulative[at] - before
