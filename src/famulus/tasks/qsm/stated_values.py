"""What a person or a sidecar states of a scan: times, field strength, direction of B0.

Units: s and T as in BIDS sidecars. An option wins over the JSON file beside the NIfTI.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.dipole import Geometry, Triple
from famulus.volumes import nifti
from famulus.volumes.nifti_affine import Form

# milliseconds given as seconds, or gauss as tesla, are caught by their size
TESLA, SECONDS = (0.01, 30.0), (1e-5, 1.0)  # what a field strength and an echo time can be
LONG_S = 0.2  # by then the signal of tissue is gone
AFFINE = "z of the scanner, by the affine"
B0_KNOWN = ("--b0-dir", "sidecar", AFFINE)
ASSUMED = "z of the affine: taken for the scanner's, though its code is not 1"
UNORIENTED = "z of the file: taken for the scanner's, since the file does not say how it lies"
FORMS = ("sform", "qform")


def form_of(given: Mapping[str, Any]) -> Form | None:
    """`--affine`, or None. Raises ConfigError for anything but sform and qform."""
    form = given.get("affine")
    if form is not None and form not in FORMS:
        raise ConfigError(f"--affine: expected sform or qform, received {form}")
    return form


def one_affine(volume: nifti.Volume, what: str) -> nifti.Volume:
    """The volume itself. Raises DataError where its affines contradict and none was named."""
    if volume.conflict:
        raise DataError(
            f"{what} {volume.path}: sform and qform both say where it lies and {volume.conflict}: "
            "say which one holds, --affine sform or --affine qform"
        )
    return volume


def number(
    given: Mapping[str, Any],
    about: Mapping[str, Any],
    option: str,
    key: str,
    unit: str,
    path: Path,
    limits: tuple[float, float],
) -> float:
    """The option, or `key` of the sidecar `about`, within `limits`. Raises DataError without
    either, ConfigError for a value that can't be."""
    value = given.get(option)
    where = flag = f"--{option.replace('_', '-')}"
    if value is None:
        value, where = about.get(key), f"{key} in the sidecar of {Path(path).name}"
    if value is None:
        raise DataError(
            f"phase {path}: expected {flag} in {unit}, or {key} in its JSON sidecar; found neither"
        )
    return within(value, where, unit, limits)


def within(value: Any, where: str, unit: str, limits: tuple[float, float]) -> float:
    """Raises ConfigError unless `value` is a number within `limits`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: expected a number in {unit}, received {value!r}")
    if not limits[0] <= value <= limits[1]:
        raise ConfigError(
            f"{where}: expected {limits[0]:g} to {limits[1]:g} {unit}, received {value:g}"
        )
    return float(value)


def long_echo(te_s: float, said: list[str]) -> float:
    """The echo time itself; one that is longer than tissue's signal lasts is said."""
    if te_s > LONG_S:
        said.append(
            f"the echo time is {te_s:g} s, and usual ones are .002 to .06 s: if {te_s:g} ms was "
            f"meant, say --echo-time {te_s / 1e3:g}"
        )
    return te_s


def geometry_of(
    volume: nifti.Volume, given: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[Geometry, Triple, str]:
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
            b0 = (float(named[0]), float(named[1]), float(named[2]))
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
    said = AFFINE if volume.scanner else ASSUMED if volume.oriented else UNORIENTED
    return Geometry.from_affine(volume.affine), (0.0, 0.0, 1.0), said
