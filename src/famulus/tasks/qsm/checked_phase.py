"""The phase of what was recorded, with its mask and its magnitude: finite, in a known unit, on one
grid, and what can't be a phase refused.

Shapes: E echoes, Z Y X voxels. Units: rad within -pi..pi, or as stored if unwrapped; or Hz or ppm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.companions import finite_within, magnitude_of, mask_of
from famulus.tasks.qsm.echoes import Recorded
from famulus.tasks.qsm.mask_signal import must_hold_signal
from famulus.tasks.qsm.phase_units import in_rad, unit_of
from famulus.tasks.qsm.stated_values import form_of
from famulus.tasks.qsm.vendor_phase import as_siemens

PLAIN = ("--units", "sidecar")  # what says a unit in so many words
ANGLE = "angle of complex numbers"


@dataclass(frozen=True)
class Phase:
    """`unit`: rad, hz or ppm. `facts`: for the sidecar of what is made of it."""

    values_EZYX: np.ndarray  # float32
    inside: np.ndarray  # the mask, bool ZYX
    magnitude_EZYX: np.ndarray | None  # float32
    unit: str
    facts: dict[str, Any]


def checked(found: Recorded, given: Mapping[str, Any], said: list[str]) -> Phase:
    """What was converted is said. Raises DataError or ConfigError, one line each."""
    like, path, mask = found.like, found.like.path, given.get("mask")
    if mask is None:  # without one, what is not finite has no place to be
        finite_within(found.phase_EZYX, None, path, "phase", said)
    inside, mask_from = mask_of(mask, like, form_of(given), said)
    stored = finite_within(found.phase_EZYX, inside, path, "phase", said)
    magnitude = _magnitude(found, given, said)
    if magnitude is not None:
        magnitude = finite_within(magnitude, inside, path, "magnitude", said)
        if not magnitude.any():
            raise DataError(f"magnitude {_name(found, given)}: is 0 everywhere")
    if found.complex:
        unit, by = _unit_of_angle(given)
        values = stored
    else:
        unit, by = unit_of(stored, given, found.about, path, len(stored))
        if by not in (*PLAIN, "--rescale"):
            said.append(f"{path}: InputUnits {unit}: {by}")
        values = in_rad(stored, inside, unit, given, path, said)
    sign = 1
    if unit == "rad":
        values, sign = as_siemens(values, inside, given, found.about, path, said)
    first = None if magnitude is None else magnitude[0]
    phase = values[0] if unit == "rad" else None
    must_hold_signal(inside, first, stored[0], phase, f"mask {mask}")
    facts: dict[str, Any] = {
        "InputUnits": unit,
        "InputUnitsFrom": by,
        "MaskFrom": mask_from,
        "Sources": _sources(found, given),
    }
    if given.get("rescale") is not None:
        facts["Rescale"] = given["rescale"]
    if sign == -1:
        facts["PhaseSign"] = sign
    if given.get("affine") is not None:
        facts["Affine"] = given["affine"]
    return Phase(values, inside, magnitude, unit, facts)


def _unit_of_angle(given: Mapping[str, Any]) -> tuple[str, str]:
    for option, fine in (("units", (None, "rad")), ("rescale", (None, "none"))):
        if given.get(option) not in fine:
            flag = f"--{option} {given[option]}"
            raise ConfigError(f"{flag}: leave it out: the angle of complex numbers is in rad")
    return "rad", ANGLE


def _magnitude(found: Recorded, given: Mapping[str, Any], said: list[str]) -> np.ndarray | None:
    """float32 EZYX, as many echoes as the phase has; an option wins over what lies beside it."""
    named = given.get("magnitude")
    if named is None and isinstance(found.magnitude, np.ndarray):
        return found.magnitude
    named = found.magnitude if named is None else named
    if named is None:
        return None
    values = magnitude_of(named, found.like, form_of(given), said, given.get("echo"))
    values = values if values.ndim == 4 else values[None]
    if len(values) != len(found.phase_EZYX):
        raise DataError(
            f"magnitude {_name(found, given)}: expected {len(found.phase_EZYX)} volumes, as "
            f"{found.like.path} has, received {len(values)}"
        )
    return values


def _name(found: Recorded, given: Mapping[str, Any]) -> Any:
    """Of the magnitude, in a message."""
    named = given.get("magnitude")
    if named is None:
        return found.magnitude if isinstance(found.magnitude, Path) else f"of {found.like.path}"
    return named if _a_file(named) else "(the array)"


def _sources(found: Recorded, given: Mapping[str, Any]) -> list[str]:
    named = [Path(str(given[n])).name for n in ("magnitude", "mask") if _a_file(given.get(n))]
    return [*found.sources, *named]


def _a_file(value: Any) -> bool:
    return isinstance(value, str | Path)
