"""From the numbers of a file to the voxels that are stored: uint8, uint16 or float32.

A declared window [low, high] becomes 0..65535 of uint16, rounded and clipped. Without one nothing
may be lost: bool becomes uint8, float16 and float64 float32, other whole numbers uint16 where they
lie in 0..65535. What fits nowhere is refused with the window that would hold it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.volumes.bricks import DTYPES

Window = tuple[float, float]
FULL = 65_535


def rescaled(numbers: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """float32 of slope times numbers plus intercept, in float64; what is too large is infinite."""
    # Which whoever reads it names: numpy would print a warning beside that.
    with np.errstate(over="ignore", invalid="ignore"):
        return (numbers * np.float64(slope) + intercept).astype(np.float32)


@dataclass(frozen=True)
class Values:
    """How numbers of `source` become voxels of `stored`."""

    source: np.dtype
    stored: np.dtype
    window: Window | None = None

    @property
    def note(self) -> str | None:
        """What is done to the numbers, if anything."""
        if self.window:
            low, high = self.window
            return f"{self.source.name} from {low:g} to {high:g} is stored as uint16: 0 to {FULL}"
        if self.source.name != self.stored.name:
            rounded = " (rounded)" if self.source.name == "float64" else ""
            return f"{self.source.name} is stored as {self.stored.name}{rounded}"
        return None

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        if not self.window:
            if self.source.kind == "i" or self.source.itemsize > self.stored.itemsize:
                self._must_fit(numbers)
            # A float64 beyond float32 becomes infinite, which whoever reads it names.
            with np.errstate(over="ignore"):
                return numbers.astype(self.stored, copy=False)
        low, high = self.window
        out = np.empty(numbers.shape, self.stored)
        for plane, voxels in zip(numbers, out, strict=True):
            scaled = plane.astype(np.float64)
            scaled -= low
            scaled *= FULL / (high - low)
            # Clipped before the cast: numpy wraps around without a word.
            np.clip(np.rint(scaled, out=scaled), 0, FULL, out=scaled)
            voxels[:] = scaled
        return out

    def _must_fit(self, numbers: np.ndarray) -> None:
        """Raises DataError for whole numbers that the cast would wrap around: only a sample was
        looked at where blocks are read."""
        if self.stored.kind == "u" and (numbers.min() < 0 or numbers.max() > FULL):
            raise DataError(
                f"{self.source.name} from {numbers.min()} to {numbers.max()} does not fit into "
                "uint16: name a window, data: {range: [LOW, HIGH]}"
            )


def values_for(
    where: Path, dtype: np.dtype, window: Window | None, limits: Callable[[], Window]
) -> Values:
    """How voxels of `dtype` are stored; `limits` measures the range, only where it decides.

    Raises DataError for a type that is no number, or that needs a window; it proposes one.
    """
    dtype = np.dtype(dtype)
    # float128 included: its name is no portable type
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise DataError(
            f"{where}: expected voxels of {', '.join(DTYPES)} or other numbers, received {dtype}"
        )
    if window is not None:
        return Values(dtype, np.dtype(np.uint16), checked(window))
    if dtype.name in DTYPES:
        return Values(dtype, dtype)
    if dtype.kind in "bf":
        return Values(dtype, np.dtype(np.uint8 if dtype.kind == "b" else np.float32))
    low, high = limits()
    if low < 0 or high > FULL:
        raise DataError(
            f"{where}: {dtype.name} from {low:g} to {high:g} does not fit into uint16: name a "
            f"window, as in data: {{range: [{low:.10g}, {high:.10g}]}} "
            f"(data convert: --range {low:.10g} {high:.10g})"
        )
    return Values(dtype, np.dtype(np.uint16))


def checked(window: tuple[float, ...] | list[float]) -> Window:
    """Raises DataError unless it is two finite numbers, the lower one first."""
    if len(window) != 2 or not all(map(math.isfinite, window)) or not window[0] < window[1]:
        raise DataError(f"data.range: expected [low, high] with low < high, received {window}")
    return float(window[0]), float(window[1])
