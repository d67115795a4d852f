"""Regions of a fragment: a safe box, and a split into blocks that no window straddles.

Shapes: Y X a fragment's mask.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from famulus.config.errors import DataError
from famulus.feed.streams import permutation

Box = tuple[int, int, int, int]  # y0, x0, y1, x1; the last two are outside


class Split(NamedTuple):
    """Two sides of a fragment. A window belongs to one if *all* of it lies in the side's room."""

    train_YX: np.ndarray  # bool: where training cubes may reach, papyrus or not
    blocks: list[Box]  # squares held for validation, cut off at the fragment's border

    @property
    def held_YX(self) -> np.ndarray:
        """bool: the blocks."""
        held = np.zeros_like(self.train_YX)
        for y0, x0, y1, x1 in self.blocks:
            held[y0:y1, x0:x1] = True
        return held


def split_blocks(
    mask_YX: np.ndarray, share: float, gap: int, block: int | None = None, seed: int = 0
) -> Split:
    """Square blocks that hold a `share` of the mask or a little more, and what lies farther than
    `gap` pixels from each of them.

    `block` defaults to a quarter of the shorter side. Raises DataError if either side is empty.
    """
    tall, wide = mask_YX.shape
    block = block or max(1, min(tall, wide) // 4)
    grid = (-(-tall // block), -(-wide // block))
    # cells cut off at the border hold less: shares are of the mask, not of squares
    inside = np.add.reduceat(
        np.add.reduceat(mask_YX.astype(np.int64), np.arange(0, tall, block), 0),
        np.arange(0, wide, block),
        1,
    )
    held = np.zeros(grid, bool)
    # by hash, not by position: a corner of a fragment is not like its middle
    for flat in permutation(seed, 0, grid[0] * grid[1]):  # until the share is reached
        if inside[held].sum() >= share * inside.sum():
            break
        held[np.unravel_index(flat, grid)] = True
    corners = (np.argwhere(held) * block).tolist()
    blocks = [(y, x, min(y + block, tall), min(x + block, wide)) for y, x in corners]
    held_YX = np.kron(held, np.ones((block, block), bool))[:tall, :wide]
    # a square dilation `gap` times: distance in the larger of both axes, as square cubes have it
    near = (
        ndimage.binary_dilation(held_YX, np.ones((3, 3), bool), iterations=gap) if gap else held_YX
    )
    train, validation = mask_YX & ~near, mask_YX & held_YX
    if not train.any() or not validation.any():
        raise DataError(
            f"blocked split: share {share}, blocks of {block} and a gap of {gap} leave "
            f"{int(train.sum())} pixels to train and {int(validation.sum())} to validate"
        )
    return Split(~near, blocks)


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
