"""A look at a volume before anything is trained on it: what `describe` tells, and middle planes.

Shapes: Z Y X voxels; planes ZY, ZX and YX of at most `MOST` voxels a side, from the middle.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.config.yaml import inline, short
from famulus.volumes.bricks import Sizes
from famulus.volumes.describe import described
from famulus.volumes.open import WHOLE, Fragment, Part, located, open_volume

MOST = 2048  # voxels a side of a plane that is looked at
SHOWN = (1, 99)  # per cent of the voxels that are black and white: one hot voxel hides no other


@dataclass(frozen=True)
class VolumeSurvey:
    """What was seen; `planes` by their label, uint8; `part` as an experiment's `data` names it."""

    name: str
    shape: Sizes
    labels: tuple[int, ...] | None  # their shape
    planes: dict[str, np.ndarray]
    notes: list[str]
    part: dict[str, Any]
    row: dict[str, Any]  # of `describe.info`

    @property
    def leaks(self) -> list[str]:
        return []  # what validates is chosen by the experiment, not by the volume

    @property
    def usage(self) -> str:
        return f"data: {inline({'name': self.name, **self.part})}"

    def facts(self) -> list[tuple[str, str]]:
        """What is shown of every volume, in order."""
        row, (low, high) = self.row, self.row["range"]
        by = "x".join(map(str, self.shape))
        rows = [
            ("kind", f"{row['kind']}, axes {row['axes']}"),
            ("voxels", f"{by} (z, y, x), {row['dtype']}"),
            ("values", f"{low:g} to {high:g}; looked at: {row['looked at']}"),
            ("mask", row["papyrus"]),
            ("labels", row.get("labels", "none")),
        ]
        if spacing := row.get("spacing"):
            rows.append(("spacing", " x ".join(f"{n:g}" for n in spacing) + " (z, y, x)"))
        if window := row.get("window"):
            rows.append(("converted from", f"{window[0]:g} to {window[1]:g}"))
        return rows + [(key, str(row[key])) for key in ("checksums",) if key in row]

    def json(self) -> dict[str, Any]:
        return {**self.row, "use": self.usage}


def look(
    name: str, labels: str | None = None, part: Part = WHOLE, *, verify: bool = True
) -> VolumeSurvey:
    """Looks at a volume by its path. `verify`: read all of it where it has checksums.

    Raises DataError as `open_volume`.
    """
    path = located(name)
    row, part = described(path, part, verify)
    fragment = _opened(path, labels, part)
    volume = fragment.volume
    planes = {}
    for axis, sides in enumerate(("y, x", "z, x", "z, y")):
        middle = [_middle(n, along == axis) for along, n in enumerate(volume.shape)]
        (z, y, x), size = ([pair[n] for pair in middle] for n in (0, 1))
        cube = np.empty(size, volume.dtype)
        volume.read((z, y, x), cube)
        planes[f"{'zyx'[axis]} = {(z, y, x)[axis]} ({sides})"] = np.squeeze(cube, axis)
    return VolumeSurvey(
        name=name,
        shape=volume.shape,
        labels=None if fragment.labels is None else fragment.labels.shape,
        planes=_grey(planes),
        notes=list(dict.fromkeys([*row["notes"], *fragment.notes])),
        part=_settings(part),
        row=row,
    )


def _opened(path: Path, labels: str | None, part: Part) -> Fragment:
    """Only what is asked for is read, where the format lets it."""
    where = located(labels) if labels else None
    try:
        return open_volume(path, where, windows=True, part=part)
    except DataError:
        return open_volume(path, where, part=part)


def _settings(part: Part) -> dict[str, Any]:
    """As a section `data` names it."""
    settings = {key: value for key, value in vars(part).items() if value is not None}
    if part.range is not None:
        settings["range"] = [short(n) for n in part.range]
    return settings


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
