"""What is a vendor's own about a phase: its sign, and slices that stand on their head.

Shapes: E echoes, Z Y X voxels. Units: rad. Here phase rises with the field, as Siemens and Philips
write it: phase = +2 pi gamma B0 TE ppm. GE's falls, and some of its 3D scans have each second slice
turned by pi, since the slices' transform was not shifted (`--fix-ge-phase` of ROMEO mends that).
"""

from collections.abc import Mapping
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.phase_units import thinned

ALIKE = 0.3  # length of the mean of unit steps between two slices: below it they tell nothing
VOXELS, PAIRS = 16, 3  # of a slice, and of a volume, to judge by


def as_siemens(
    phase_EZYX: np.ndarray,
    inside: np.ndarray,
    given: Mapping[str, Any],
    about: Mapping[str, Any],
    path: Path,
    said: list[str],
) -> tuple[np.ndarray, int]:
    """(phase that rises with the field and has no turned slices, the sign it had); what was done is
    said. Raises DataError for turned slices of a scan that nothing calls GE's."""
    ge = given.get("rescale") == "ge" or _is_ge(about)
    fix = given.get("fix_slices")
    if fix is not None and not isinstance(fix, bool):
        raise ConfigError(f"--fix-slices: expected true or false, received {fix!r}")
    axis = None if fix is False else turned_axis(phase_EZYX[0], inside)
    if axis is not None:
        if not (ge or fix):
            raise DataError(
                f"phase {path}: each second slice along {'zyx'[axis]} is turned by pi, as GE "
                "stores some scans: say --fix-slices true, or false to leave it so"
            )
        odd = tuple(slice(1, None, 2) if a == axis else slice(None) for a in range(3))
        phase_EZYX = phase_EZYX.copy()
        part = phase_EZYX[(slice(None), *odd)]
        part += np.where(part > 0, np.float32(-pi), np.float32(pi))
        said.append(f"{path}: each second slice along {'zyx'[axis]} was turned by pi: turned back")
    elif fix:
        raise DataError(f"phase {path}: --fix-slices true: no slices are turned by pi here")
    stated = given.get("phase_sign")
    sign = stated if stated is not None else -1 if ge else 1
    if isinstance(sign, bool) or sign not in (1, -1):
        raise ConfigError(
            "--phase-sign: expected 1 (phase rises with the field) or -1 (it falls, as GE's does), "
            f"received {sign!r}"
        )
    if sign == -1:
        by = "--phase-sign" if stated is not None else "a GE scanner's: else --phase-sign 1"
        said.append(f"{path}: the sign of the phase was turned ({by})")
        phase_EZYX = -phase_EZYX
    return phase_EZYX, int(sign)


def turned_axis(phase_ZYX: np.ndarray, inside: np.ndarray) -> int | None:
    """The axis along which neighbouring slices differ by pi throughout, or None.

    Along each axis the mean of exp(i step) over two slices is judged: near 1 for any smooth phase,
    near -1 for turned slices, near 0 for noise.
    """
    for axis in range(3):
        part = thinned(axis, phase_ZYX.shape)
        # slices first, and all of each one behind the other
        phase, within = (np.moveaxis(v[part], axis, 0) for v in (phase_ZYX, inside))
        both = within[:-1] & within[1:]
        count = both.sum((1, 2))
        step = np.diff(phase, axis=0)
        mean = (np.cos(step) * both).sum((1, 2)) + 1j * (np.sin(step) * both).sum((1, 2))
        mean = mean[count >= VOXELS] / count[count >= VOXELS]
        mean = mean[np.abs(mean) > ALIKE]
        if len(mean) >= PAIRS and (np.cos(np.angle(mean)) < -0.25).mean() > 0.9:
            return axis
    return None


def _is_ge(about: Mapping[str, Any]) -> bool:
    maker = str(about.get("Manufacturer", "")).strip().lower()
    return maker == "ge" or maker.startswith(("ge ", "general electric"))
