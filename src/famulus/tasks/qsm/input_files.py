"""A person's own scan, made ready for an inversion: units, geometry and mask declared and checked.

Shapes: Z Y X voxels, E echoes. Units: rad, Hz and ppm; s and T as in BIDS sidecars.
Nothing is guessed in silence: a unit or a field strength comes from an option or from the JSON
file beside the NIfTI, or there is an error; what is converted is said, in a note and in the sidecar
of the result. Background fields are not removed: what is inverted is taken to be the tissue field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.tasks.qsm.checked_phase import Phase, checked
from famulus.tasks.qsm.dipole import Geometry
from famulus.tasks.qsm.echoes import Recorded, combined, of_volume
from famulus.tasks.qsm.recordings import recorded
from famulus.tasks.qsm.stated_values import B0_KNOWN, TESLA, geometry_of, long_echo, number
from famulus.units import hz_from_ppm, rad_from_hz, rad_from_ppm
from famulus.volumes import nifti

OPTIONS = {
    "magnitude": "NIfTI file; needed by a net that was trained with magnitude weights",
    "mask": "NIfTI file: 0 and 1, probabilities or labels (where the phase is not 0)",
    "echo_time": "seconds, 1e-05 to 1; of several echoes [t1, t2, ...] (the sidecar's)",
    "echo": "which of several echoes, from 1 (all, combined)",
    "field_strength": "tesla, 0.01 to 30 (the sidecar's)",
    "units": "of the phase: rad, hz or ppm (the sidecar's)",
    "rescale": "how the phase is stored: siemens, ge, philips, degrees, pi, turns, auto, none, or "
    "[low, high] for -pi and pi (in rad)",
    "phase_sign": "1: phase rises with the field; -1: it falls (1; of a GE scanner -1)",
    "fix_slices": "true: turn each second slice by pi, as GE needs it (only of a GE scanner)",
    "affine": "sform or qform, where a file has both and they contradict",
    "b0_dir": "three numbers as [0, 0, 1] (the sidecar's, or z of the scanner)",
}
FIELD_OPTIONS = {name: text for name, text in OPTIONS.items() if name != "b0_dir"}

ENDLESS_RAD = 1e7  # float32 holds no angle in it


@dataclass(frozen=True)
class Scanned:
    """What an inversion needs. `phase_rad` is 0 outside of the mask."""

    phase_rad: np.ndarray  # float32 ZYX
    mask: np.ndarray  # float32 ZYX, 0 or 1
    magnitude: np.ndarray | None  # float32 ZYX; of several echoes the root of their squares' sum
    geometry: Geometry
    b0_t: float
    te_s: float  # of the phase; for a field in Hz or ppm, what it was multiplied by
    like: nifti.Volume
    facts: dict[str, Any] = field(default_factory=dict)  # for the sidecar of what is written

    @property
    def rad_per_ppm(self) -> float:
        return rad_from_ppm(1.0, self.b0_t, 1e3 * self.te_s)


def read_scan(path: Path, given: Mapping[str, Any], te_s: float | None = None) -> Scanned:
    """Reads a field and all that belongs to it; `te_s` stands in where the unit needs no echo time.

    Raises DataError or ConfigError, one line each.
    """
    said: list[str] = []
    return _scanned(recorded(Path(path), given, said), given, te_s, said)


def scan_of(
    volume: nifti.Volume,
    about: Mapping[str, Any],
    given: Mapping[str, Any],
    te_s: float | None = None,
) -> Scanned:
    """A field and what its options say of it; `about` is its sidecar. `magnitude` and `mask` are
    files, or arrays ZYX of the same voxels. Raises as `read_scan`."""
    said: list[str] = []
    return _scanned(of_volume(volume, about, given, said), given, te_s, said)


def _scanned(
    found: Recorded, given: Mapping[str, Any], te_s: float | None, said: list[str]
) -> Scanned:
    like, about, path = found.like, found.about, found.like.path
    if min(like.shape) == 1:
        raise DataError(
            f"phase {path}: {nifti.by(like.shape[::-1])} is one slice: expected a volume, since "
            "the field of a slice comes from its neighbours, too"
        )
    made = checked(found, given, said)
    b0_t = number(given, about, "field_strength", "MagneticFieldStrength", "tesla", path, TESLA)
    values, unit, facts = made.values_EZYX[0], made.unit, made.facts
    if len(made.values_EZYX) > 1:
        values, more = _combined(found, made, said)
        unit, facts = "hz", facts | more | {"InputUnits": "hz"}
        said.append(f"{path}: {len(made.values_EZYX)} echoes were combined into one field")
    elif unit == "rad" or found.states_a_time(given):
        te_s = long_echo(found.echo_time(given), said)
    if te_s is None:
        te_s = 1 / rad_from_ppm(1.0, b0_t, 1e3)  # 1 rad a ppm: no wraps, sin x = x
    scale = {
        "rad": 1.0,
        "hz": rad_from_hz(1.0, 1e3 * te_s),
        "ppm": rad_from_ppm(1, b0_t, 1e3 * te_s),
    }
    mask = made.inside.astype(np.float32)
    phase = (values * np.float32(scale[unit]) * mask).astype(np.float32)
    largest = float(np.abs(phase).max())
    if not largest < ENDLESS_RAD:
        raise DataError(f"phase {path}: makes a phase of {largest:.3g} rad: is its unit {unit}?")
    geometry, direction, by = geometry_of(like, given, about)
    if by not in B0_KNOWN:
        said.append(f"{path}: B0_dir {list(direction)}: {by}")
    facts = {
        "Units": "ppm",
        "Reference": "mean of the mask is 0",
        **facts,
        "MagneticFieldStrength": b0_t,
        "EchoTime": te_s if unit == "rad" else None,
        "B0_dir": list(direction),
        "B0_dirFrom": by,
        "VoxelSize_mm": list(geometry.voxel_zyx_mm[::-1]),
        "BackgroundFieldRemoval": "none: the input is taken to be the tissue field",
        "Notes": said,
    }
    magnitude = made.magnitude_EZYX
    if magnitude is not None:
        magnitude = magnitude[0] if len(magnitude) == 1 else np.sqrt(np.square(magnitude).sum(0))
    return Scanned(phase, mask, magnitude, geometry, b0_t, te_s, like, facts)


def field_of(path: Path, given: Mapping[str, Any]) -> tuple[np.ndarray, nifti.Volume, dict]:
    """The field map in Hz of a folder or a series of echoes, unwrapped and combined; in ppm where a
    field strength is given. Raises as `read_scan`."""
    said: list[str] = []
    found = recorded(Path(path), given, said)
    made = checked(found, given, said)
    if found.te_s is None and made.unit == "rad":
        found = replace(found, te_s=np.array([found.echo_time(given)]))
    hz, more = _combined(found, made, said)
    facts = {**made.facts, **more, "Units": "Hz", "Notes": said}
    if given.get("field_strength") is not None:
        b0_t = number(given, {}, "field_strength", "", "tesla", found.like.path, TESLA)
        facts |= {"Units": "ppm", "MagneticFieldStrength": b0_t}
        hz = hz / np.float32(hz_from_ppm(1.0, b0_t))
    return hz, found.like, facts


def _combined(found: Recorded, made: Phase, said: list[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Field in Hz, and how it was made."""
    if made.unit != "rad" or found.te_s is None:
        raise DataError(
            f"phase {found.like.path}: expected a phase in rad, received a field in {made.unit}"
        )
    long_echo(float(found.te_s.max()), said)
    return combined(made.values_EZYX, made.magnitude_EZYX, found.te_s, made.inside, said)
