"""A look at a volume before anything is trained on it: what `open.info` tells, and middle planes.

Shapes: Z Y X voxels; planes ZY, ZX and YX of at most `MOST` voxels a side, from the middle.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.config.yaml import inline
from famulus.volumes.bricks import Sizes
from famulus.volumes.open import Fragment, info, located, open_volume

MOST = 2048  # voxels a side of a plane that is looked at
SHOWN = (1, 99)  # per cent of the voxels that are black and white: one hot voxel hides no other


@dataclass(frozen=True)
class VolumeSurvey:
    """What was seen; `planes` by their label, uint8."""

    name: str
    shape: Sizes
    dtype: str
    low: float
    high: float
    mask: float  # share of the area, YX
    labels: tuple[int, ...] | None  # their shape
    marked: float  # share of the mask that the labels mark
    planes: dict[str, np.ndarray]
    notes: list[str]
    row: dict[str, Any]  # of `open.info`

    @property
    def leaks(self) -> list[str]:
        return []  # what validates is chosen by the experiment, not by the volume

    @property
    def usage(self) -> str:
        return f"data: {inline({'name': self.name})}"

    def facts(self) -> list[tuple[str, str]]:
        """What is shown of every volume, in order."""
        by = "x".join(map(str, self.shape))
        labels = "none"
        if self.labels is not None:
            labels = f"{'x'.join(map(str, self.labels))}, {self.marked:.1%} marked"
        rows = [
            ("voxels", f"{by} (z, y, x), {self.dtype}"),
            ("values", f"{self.low:g} to {self.high:g} in three middle planes"),
            ("mask", f"{self.mask:.1%} of the area"),
            ("labels", labels),
        ]
        return rows + [(key, str(self.row[key])) for key in ("checksums",) if key in self.row]

    def json(self) -> dict[str, Any]:
        return {**self.row, "range": [self.low, self.high], "use": self.usage}


def look(name: str, labels: str | None = None, verify: bool = True) -> VolumeSurvey:
    """Looks at a volume by its path. `verify`: read all of it, as `open.info` does.

    Raises DataError as `open_volume`.
    """
    path = located(name)
    row = info(path) if verify else {}
    fragment = _opened(path, labels)
    volume = fragment.volume
    planes = {}
    for axis, sides in enumerate(("y, x", "z, x", "z, y")):
        middle = [_middle(n, along == axis) for along, n in enumerate(volume.shape)]
        (z, y, x), size = ([pair[n] for pair in middle] for n in (0, 1))
        cube = np.empty(size, volume.dtype)
        volume.read((z, y, x), cube)
        planes[f"{'zyx'[axis]} = {(z, y, x)[axis]} ({sides})"] = np.squeeze(cube, axis)
    marked = 0.0
    if fragment.labels is not None:
        marked = float(fragment.labels[..., fragment.mask].mean())
    return VolumeSurvey(
        name=name,
        shape=volume.shape,
        dtype=volume.dtype.name,
        low=float(min(np.nanmin(plane) for plane in planes.values())),
        high=float(max(np.nanmax(plane) for plane in planes.values())),
        mask=float(fragment.mask.mean()),
        labels=None if fragment.labels is None else fragment.labels.shape,
        marked=marked,
        planes=_grey(planes),
        notes=list(dict.fromkeys([*row.get("notes", []), *fragment.notes])),
        row=row,
    )


def _opened(path: Path, labels: str | None) -> Fragment:
    """Only what is asked for is read, where the format lets it."""
    try:
        return open_volume(path, located(labels) if labels else None, windows=True)
    except DataError:
        return open_volume(path, located(labels) if labels else None)


def _middle(length: int, across: bool) -> tuple[int, int]:
    """(start, size) of the middle plane across an axis, or of the middle of an axis along it."""
    size = 1 if across else min(length, MOST)
    return (length - size) // 2, size


def _grey(planes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """uint8, all planes on one scale."""
    voxels = np.concatenate([np.nan_to_num(plane).ravel() for plane in planes.values()])
    low, high = np.percentile(voxels.astype(np.float64), SHOWN)
    scale = 255 / ((high - low) or 1.0)
    return {
        label: ((np.nan_to_num(plane).astype(np.float64) - low) * scale)
        .clip(0, 255)
        .astype(np.uint8)
        for label, plane in planes.items()
    }
