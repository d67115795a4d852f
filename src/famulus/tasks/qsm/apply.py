"""A person's own scan in, a map in ppm out: read and checked, inverted, written whole.

Shapes: 1 Z Y X voxels. Units: rad going in, ppm coming out.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from famulus.config.apply_options import known
from famulus.config.errors import ConfigError, DataError
from famulus.feed.progress import note
from famulus.tasks.qsm.dipole import Geometry, fast_sizes
from famulus.tasks.qsm.input_files import (
    FIELD_OPTIONS,
    OPTIONS,
    Scanned,
    field_of,
    read_scan,
    scan_of,
)
from famulus.tasks.qsm.noise import noise_in
from famulus.tasks.qsm.phase import centred_phase, weights, within_a_turn, wrap, wrapped_steps
from famulus.tasks.qsm.rho import Estimate, doubt, over_noise, sane
from famulus.tasks.qsm.settings import QsmData
from famulus.tasks.qsm.spectrum import noise_ratio
from famulus.volumes import nifti

OFFSET_RAD = 0.25  # a small box of tissue may well have a mean of less
VOXEL, PHASE = 0.02, 0.2  # relative differences that are as good as none
Inverted = tuple[Tensor, dict[str, Any]]  # chi BZYX in rad, and how it was made
Inversion = Callable[[Scanned, Tensor, Tensor | None, Tensor], Inverted]


def invert_file(
    run: Inversion,
    inputs: Path,
    out: Path,
    options: Mapping[str, Any],
    use: str,
    *,
    te_s: float | None = None,
    linear: bool = False,
    estimate: Estimate = "signal",
) -> None:
    """`run` makes (chi rad, facts) of (scan, phase, weight, rho); nothing is written if it fails.

    `use`: none, mask or magnitude as W; either: the magnitude if there is one, else the mask.
    `linear`: whether a wrapped phase can't be understood. `estimate`: of rho.
    Raises DataError or ConfigError, one line each.
    """
    known(options, OPTIONS)
    # before the work: an inversion takes minutes, and must never overwrite a scan
    nifti.may_be_written(out, [inputs, *(options.get(n) for n in ("magnitude", "mask"))])
    found = read_scan(Path(inputs), options, te_s)
    chi, facts = inverted(run, found, use, linear, estimate)
    nifti.write(Path(out), chi, found.like, facts)


def inverted(
    run: Inversion,
    found: Scanned,
    use: str,
    linear: bool = False,
    estimate: Estimate = "signal",
) -> tuple[np.ndarray, dict[str, Any]]:
    """chi ZYX in ppm, 0 outside of the mask and on average within it; and how it was made."""
    inputs = found.like.path
    for line in found.facts["Notes"]:
        note(line)
    if use == "either":
        use = "mask" if found.magnitude is None else "magnitude"
    phase, mask = (torch.from_numpy(v)[None] for v in (found.phase_rad, found.mask))
    facts: dict[str, Any] = {"Weights": use}
    weight: Tensor | None = None
    if use == "magnitude":
        if found.magnitude is None:
            raise DataError("expected --magnitude: this net was trained with magnitude weights")
        weight = weights(torch.from_numpy(found.magnitude)[None], mask)
    elif use == "mask":
        weight = mask
    if found.magnitude is not None and use != "magnitude":
        note(f"the magnitude is not used: W is {use} here")
    said: list[str] = []
    if found.facts["InputUnits"] == "rad":
        phase, offset = _without_offset(phase, mask)
        if offset:
            facts["PhaseOffset_rad"] = offset
            said.append(f"the phase has an offset of {offset:.3g} rad, which is taken off")
        wraps = wrapped_steps(phase, mask) if linear else 0
        if wraps:
            facts["WrappedSteps"] = wraps
            said.append(f"{wraps:,} steps of the phase are wraps, which only ndi understands")
    magnitude = weight if use == "magnitude" else None
    rho, seen, doubts = _signal_to_noise(estimate, phase, mask, magnitude, found.geometry)
    said += doubts
    for line in said:
        note(f"{inputs}: {line}")
    chi_rad, how = run(found, phase, weight, rho)
    if wanted := how.get("StepsThatSuitTheNoise"):
        said.append(f"stopped after {how['Steps']:,} steps; {wanted:,} suit the noise: say --steps")
        note(f"{inputs}: {said[-1]}")
    inside = found.mask > 0
    chi = (chi_rad / found.rad_per_ppm)[0].numpy()
    # In float64: the sum over millions of voxels in float32 loses the mean that is looked for.
    chi = np.where(inside, chi - chi[inside].mean(dtype=np.float64), 0).astype(np.float32)
    if not np.isfinite(chi).all():
        raise DataError(f"{inputs}: the inversion diverged: lower tau or the number of steps")
    facts |= {
        **seen,
        "Notes": [*found.facts.get("Notes", []), *said],
        "PaddedTo": list(fast_sizes(found.phase_rad.shape)[::-1]),
    }
    return chi, {**how, **found.facts, **facts}


def _signal_to_noise(
    estimate: Estimate,
    phase_1ZYX: Tensor,
    mask_1ZYX: Tensor,
    magnitude_1ZYX: Tensor | None,
    geometry: Geometry,
) -> tuple[Tensor, dict[str, Any], list[str]]:
    """(rho, facts, what is to be said of it)."""
    if estimate == "field":  # a net that was trained on it has learned from its extremes, too
        rho = noise_ratio(phase_1ZYX, geometry)
        return rho, {"SignalToNoisePower": float(rho[0])}, []
    noise = noise_in(phase_1ZYX, mask_1ZYX, geometry, magnitude_1ZYX)
    raw = over_noise(phase_1ZYX, mask_1ZYX, noise)
    why, rho = doubt(float(raw[0])), sane(raw)
    facts: dict[str, Any] = {"SignalToNoisePower": float(rho[0])}
    if not noise.isnan():
        facts["PhaseNoise_rad"] = float(noise[0])
    return rho, facts, [why] if why else []


def _without_offset(phase_1ZYX: Tensor, mask_1ZYX: Tensor) -> tuple[Tensor, float]:
    """(phase, what was taken off it in rad): a tissue field has next to no mean, and a constant
    would be inverted to a shell around the mask. Little of it stays."""
    centred, offset = centred_phase(phase_1ZYX[0], mask_1ZYX[0])
    if abs(offset) > OFFSET_RAD:
        return (centred * mask_1ZYX[0])[None], offset
    inside = phase_1ZYX[mask_1ZYX > 0]
    if within_a_turn(inside) and float(inside.abs().max()) > math.pi:
        return wrap(phase_1ZYX), 0.0  # as of 0..2 pi
    return phase_1ZYX, 0.0


def scan_of_array(
    values_ZYX: np.ndarray, options: Mapping[str, Any], te_s: float | None
) -> Scanned:
    """A field in memory with the options of a file's, and `voxel_zyx_mm`; `mask` and `magnitude`
    are arrays or tensors of its shape. Raises ConfigError, DataError."""
    known(options, {**OPTIONS, "voxel_zyx_mm": "sides of a voxel"})
    sides = options.get("voxel_zyx_mm")
    if not isinstance(sides, list | tuple) or len(sides) != 3:
        raise ConfigError(
            f"apply: voxel_zyx_mm: expected three lengths in mm as (1, 1, 1), received {sides!r}"
        )
    z, y, x = (positive("voxel_zyx_mm", side) for side in sides)
    if values_ZYX.ndim != 3:
        raise DataError(f"apply: expected a field Z Y X, received shape {values_ZYX.shape}")
    rest = {k: _plain(v) for k, v in options.items() if k != "voxel_zyx_mm"}
    return scan_of(nifti.of_array(values_ZYX, (z, y, x)), {}, rest, te_s)


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def field_file(inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Echoes in, a folder or a series, the field map in Hz (in ppm with `field_strength`) out."""
    known(options, FIELD_OPTIONS)
    nifti.may_be_written(out, [inputs, *(options.get(n) for n in ("magnitude", "mask"))])
    values, like, facts = field_of(Path(inputs), options)
    for line in facts["Notes"]:
        note(line)
    nifti.write(Path(out), values, like, facts)


def unlike_training(scan: Scanned, data: QsmData, reach_per_mm: float) -> list[str]:
    """In what a scan differs from those of training, in sentences: voxels, phase for one ppm."""
    said = []
    sides, (low, high) = scan.geometry.voxel_zyx_mm[::-1], data.voxel_range_mm
    if min(sides) < low * (1 - VOXEL) or max(sides) > high * (1 + VOXEL):
        line = f"voxels of {' x '.join(f'{side:.3g}' for side in sides)} mm: the net was trained on"
        said.append(f"{line} {_span(low, high)} mm")
        highest = 0.5 * sum(side**-2 for side in sides) ** 0.5
        if highest > reach_per_mm * (1 + VOXEL):
            said[-1] += (
                f"; above {reach_per_mm:.2g} cycles/mm, unknown to it, frequencies are restored"
                " as by Tikhonov's filter"
            )
    low, high = data.rad_per_ppm_range
    if not low * (1 - PHASE) < scan.rad_per_ppm < high * (1 + PHASE):
        said.append(
            f"1 ppm makes a phase of {scan.rad_per_ppm:.3g} rad (field strength and echo time): the"
            f" net was trained on {_span(low, high)} rad"
        )
    return said


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def positive(name: str, value: Any) -> float:
    """Raises ConfigError unless `value` is a finite number above 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):
        raise ConfigError(f"--{name}: expected a number above 0, received {value!r}")
    return float(value)
