"""Which part of a type's range the voxels of a volume use."""

from collections.abc import Callable
from typing import Any

import numpy as np

from famulus.volumes.values import FULL, Window

CUBES, SIDE = 64, 32  # looked at, when a volume is not read as a whole
LEAST = 0.25  # of the range: below it grey levels are lost against full scale


def sampled(volume: Any) -> Window:
    """Lowest and highest voxel of up to 64 cubes, spread over a volume in a fixed lattice."""
    size = tuple(min(n, SIDE) for n in volume.shape)
    out, low, high = np.empty(size, volume.dtype), np.inf, -np.inf
    # golden ratios of three dimensions: no two cubes share a row
    steps = (0.8191725134, 0.6710436067, 0.5497004779)
    for i in range(CUBES):
        start = tuple(
            int((i * step % 1) * (n - s + 1))
            for step, n, s in zip(steps, volume.shape, size, strict=True)
        )
        volume.read(start, out)
        low, high = min(low, float(out.min())), max(high, float(out.max()))
    return low, high


def range_note(name: str, dtype: np.dtype, limits: Callable[[], Window]) -> str | None:
    """A warning where 16 bits hold the values of fewer."""
    if dtype.name != "uint16":
        return None
    low, high = limits()
    if high - low >= LEAST * FULL or low == high:
        return None
    return (
        f"{name}: voxels from {low:g} to {high:g} use {(high - low) / FULL:.1%} of uint16: with "
        f"data.scale range name data: {{range: [{low:g}, {high:g}]}}"
    )
