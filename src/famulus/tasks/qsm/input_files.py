"""A person's own scan, made ready for an inversion: units, geometry and mask declared and checked.

Shapes: Z Y X voxels, E echoes. Units: s and T as in BIDS sidecars; rad, Hz and ppm.
Nothing is guessed in silence: a unit or a field strength comes from an option or from the JSON
file beside the NIfTI, or there is an error. Background fields are not removed: what is inverted is
taken to be the tissue field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.dipole import Geometry
from famulus.tasks.qsm.phase import combine_echoes
from famulus.units import ppm_from_hz, rad_from_hz, rad_from_ppm
from famulus.volumes import nifti

UNITS = ("rad", "hz", "ppm")
OPTIONS = {
    "magnitude": "NIfTI file; needed by a net that was trained with magnitude weights",
    "mask": "NIfTI file (where the phase is not 0)",
    "echo_time": "seconds, 1e-05 to 1 (the sidecar's)",
    "field_strength": "tesla, 0.01 to 30 (the sidecar's)",
    "units": "of the phase: rad, hz or ppm (the sidecar's)",
    "b0_dir": "three numbers as [0, 0, 1] (the sidecar's, or z of the scanner)",
}
FIELD_OPTIONS = {name: OPTIONS[name] for name in ("mask", "field_strength")}
AFFINE = "z of the scanner, by the affine"
B0_KNOWN = ("--b0-dir", "sidecar", AFFINE)
ASSUMED = "z of the affine: taken for the scanner's, though its code is not 1"
TURN_RAD = 3.1416  # pi as files round it
# milliseconds given as seconds, or gauss as tesla, are caught by their size
TESLA, SECONDS = (0.01, 30.0), (1e-5, 1.0)  # what a field strength and an echo time can be
RAW_RAD = 100.0  # no tissue phase is larger; scanners store -4096..4095


@dataclass(frozen=True)
class Scanned:
    """What an inversion needs. `phase_rad` is 0 outside of the mask."""

    phase_rad: np.ndarray  # float32 ZYX
    mask: np.ndarray  # float32 ZYX, 0 or 1
    magnitude: np.ndarray | None  # float32 ZYX
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
    return scan_of(nifti.read(path, "phase"), nifti.sidecar(Path(path)), given, te_s)


def scan_of(
    volume: nifti.Volume,
    about: Mapping[str, Any],
    given: Mapping[str, Any],
    te_s: float | None = None,
) -> Scanned:
    """A field and what its options say of it; `about` is its sidecar. `magnitude` and `mask` are
    files, or arrays ZYX of the same voxels. Raises as `read_scan`."""
    path = volume.path
    _finite(volume.values, path, "phase")
    unit, declared = _unit(volume, given, about)
    b0_t = _number(given, about, "field_strength", "MagneticFieldStrength", "tesla", path, TESLA)
    stated = given.get("echo_time", about.get("EchoTime"))
    if unit == "rad" or stated is not None:
        te_s = _number(given, about, "echo_time", "EchoTime", "seconds", path, SECONDS)
    elif te_s is None:
        te_s = 1 / rad_from_ppm(1.0, b0_t, 1e3)  # 1 rad a ppm: no wraps, sin x = x
    values = volume.values
    # a factor of 1,300 in the phase would still give a map
    if unit == "rad" and np.abs(values).max() > RAW_RAD:
        raise DataError(
            f"phase {path}: {values.min():.5g} to {values.max():.5g} are no rad but look like raw "
            "scanner units: rescale to -pi..pi"
        )
    mask = _mask(given.get("mask"), volume)
    magnitude = _magnitude(given.get("magnitude"), volume)
    scale = {
        "rad": 1.0,
        "hz": rad_from_hz(1.0, 1e3 * te_s),
        "ppm": rad_from_ppm(1, b0_t, 1e3 * te_s),
    }
    phase = (values * np.float32(scale[unit]) * mask).astype(np.float32)
    geometry, direction, said = _geometry(volume, given, about)
    facts = {
        "Units": "ppm",
        "Reference": "mean of the mask is 0",
        "InputUnits": unit,
        "InputUnitsFrom": declared,
        "MagneticFieldStrength": b0_t,
        "EchoTime": te_s if unit == "rad" else None,
        "B0_dir": list(direction),
        "B0_dirFrom": said,
        "VoxelSize_mm": list(geometry.voxel_zyx_mm[::-1]),
        "BackgroundFieldRemoval": "none: the input is taken to be the tissue field",
        "Sources": [
            Path(str(p)).name
            for p in (path, given.get("magnitude"), given.get("mask"))
            if isinstance(p, str | Path) and p != Path()
        ],
    }
    return Scanned(phase, mask, magnitude, geometry, b0_t, te_s, volume, facts)


def read_echoes(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, nifti.Volume]:
    """(phase EZYX rad, magnitude EZYX, te E s, the first phase) of BIDS-like names in a folder."""
    phases = sorted(Path(folder).glob("*part-phase*.nii*"))
    if not phases:
        raise DataError(f"{folder}: expected files named *part-phase*.nii.gz, found none")
    echoes = []
    for path in phases:
        beside = path.with_name(path.name.replace("part-phase", "part-mag"))
        about = nifti.sidecar(path)
        te_s = _number({}, about, "echo_time", "EchoTime", "seconds", path, SECONDS)
        if about.get("Units", "rad") != "rad":
            raise DataError(f"{path}: expected Units rad in its sidecar, received {about['Units']}")
        echoes.append((te_s, nifti.read(path, "phase"), nifti.read(beside, "magnitude")))
    # By time and not by name: echo-10 would stand before echo-2.
    echoes.sort(key=lambda row: row[0])
    first = echoes[0][1]
    for _, phase, magnitude in echoes:
        nifti.same_grid(first, phase, "phase")
        nifti.same_grid(first, magnitude, "magnitude")
        _finite(phase.values, phase.path, "phase")
        _finite(magnitude.values, magnitude.path, "magnitude")
    phase, magnitude = (np.stack([row[i].values for row in echoes]) for i in (1, 2))
    return phase, magnitude, np.array([row[0] for row in echoes]), first


def field_of(folder: Path, given: Mapping[str, Any]) -> tuple[np.ndarray, nifti.Volume, dict]:
    """The field map in Hz of a folder of echoes, unwrapped and combined."""
    phase, magnitude, te_s, first = read_echoes(folder)
    mask = _mask(given.get("mask"), first)
    hz, _, residual = combine_echoes(phase, magnitude, 1e3 * te_s, mask)
    facts = {
        "Units": "Hz",
        "EchoTimes": te_s.tolist(),
        "Unwrapping": "maximum spanning tree; echoes follow in time; fit weighted by magnitude^2",
        "ResidualMedian_rad": float(np.median(residual[mask > 0])),
    }
    if given.get("field_strength") is not None:
        b0_t = _number(given, {}, "field_strength", "", "tesla", first.path, TESLA)
        facts |= {"Units": "ppm", "MagneticFieldStrength": b0_t}
        hz = ppm_from_hz(hz, b0_t)
    return hz.astype(np.float32), first, facts


def _unit(
    volume: nifti.Volume, given: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[str, str]:
    """(unit, who says so). An echo time on the command line, with all values within a turn, says
    rad: a field in Hz or ppm has none."""
    where, named = "--units", given.get("units")
    if named is None:
        where, named = "sidecar", about.get("Units")
    if named is None:
        turn = float(np.abs(volume.values).max()) <= TURN_RAD
        if given.get("echo_time") is not None and turn:
            return "rad", "--echo-time was given, and all values lie within -pi..pi"
        raise DataError(
            f"phase {volume.path}: its unit is not known: say --units rad, hz or ppm, or put Units "
            "into its JSON sidecar"
        )
    unit = str(named).lower()
    if unit not in UNITS:
        raise DataError(f"phase {volume.path}: expected units of rad, hz or ppm, received {named}")
    return unit, where


def _number(
    given: Mapping[str, Any],
    about: Mapping[str, Any],
    option: str,
    key: str,
    unit: str,
    path: Path,
    limits: tuple[float, float],
) -> float:
    value = given.get(option)
    where = f"--{option.replace('_', '-')}"
    if value is None:
        value, where = about.get(key), f"{key} in the sidecar of {Path(path).name}"
    if value is None:
        raise DataError(
            f"phase {path}: expected --{option.replace('_', '-')} in {unit}, or {key} in its JSON "
            "sidecar; found neither"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: expected a number in {unit}, received {value!r}")
    if not limits[0] <= value <= limits[1]:
        raise ConfigError(
            f"{where}: expected {limits[0]:g} to {limits[1]:g} {unit}, received {value:g}"
        )
    return float(value)


def _finite(values: np.ndarray, path: Path, what: str) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(
            f"{what} {path}: {bad:,} voxels are NaN or Inf: set them to 0 and mask them"
        )


def _beside(given: Any, what: str, like: nifti.Volume) -> nifti.Volume:
    """The file that is named, or an array of the voxels of `like`."""
    if isinstance(given, np.ndarray):
        volume = replace(like, values=given.astype(np.float32), path=Path("the array"))
    else:
        volume = nifti.read(Path(str(given)), what)
    nifti.same_grid(like, volume, what)
    return volume


def _mask(path: Any, like: nifti.Volume) -> np.ndarray:
    if path is None:
        # brain extraction leaves zeros outside
        mask = (like.values != 0).astype(np.float32)
        where = f"phase {like.path} (no --mask: where it is not 0)"
    else:
        volume = _beside(path, "mask", like)
        _finite(volume.values, volume.path, "mask")
        # A mask that was resampled holds shares at its border.
        mask, where = (volume.values > 0.5).astype(np.float32), f"mask {path}"
    if not mask.any():
        raise DataError(f"{where}: is empty")
    return mask


def _magnitude(path: Any, like: nifti.Volume) -> np.ndarray | None:
    if path is None:
        return None
    volume = _beside(path, "magnitude", like)
    _finite(volume.values, volume.path, "magnitude")
    if volume.values.min() < 0:
        raise DataError(
            f"magnitude {path}: {volume.values.min():.4g} is negative: is it the phase?"
        )
    if not volume.values.any():
        raise DataError(f"magnitude {path}: is 0 everywhere")
    return volume.values


def _geometry(
    volume: nifti.Volume, given: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[Geometry, tuple[float, float, float], str]:
    """(geometry, B0, who says so). B0 is the scanner's z axis if the affine leads there, unless a
    direction is given, in the coordinates that the affine leads to."""
    where, named = "--b0-dir", given.get("b0_dir")
    if named is None:
        where, named = "sidecar", about.get("B0_dir")
    if named is not None:
        if not isinstance(named, list | tuple) or len(named) != 3:
            raise ConfigError(
                f"{where}: B0_dir: expected three numbers as [0, 0, 1], received {named!r}"
            )
        try:
            b0 = tuple(float(v) for v in named)
            return Geometry.from_affine(volume.affine, b0), b0, where
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where}: B0_dir: {error}") from None
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    # axes along the scanner's in any order: B0 is along one of them in either case
    straight = np.allclose(np.sort(np.abs(axes), axis=None)[-3:], 1, atol=1e-3)
    if not volume.scanner and not straight:
        raise DataError(
            f"phase {volume.path}: its affine is oblique but does not lead to scanner coordinates "
            "(qform and sform code are not 1), so B0 is not known: give --b0-dir"
        )
    said = AFFINE if volume.scanner else ASSUMED
    return Geometry.from_affine(volume.affine), (0.0, 0.0, 1.0), said
