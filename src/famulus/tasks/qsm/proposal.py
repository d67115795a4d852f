"""Settings of task `qsm` for a folder of records, or for a scan: its phase and its magnitude.

A scan has no truth to learn from: its steps are learned on simulated maps, with its own voxel size,
echo time and field strength, and then applied to it. The model is the best of three in
`experiments/qsm/first-light`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.tasks.base import Proposal
from famulus.tasks.qsm.records import open_records
from famulus.tasks.qsm.stated_values import SECONDS, TESLA
from famulus.volumes import nifti
from famulus.volumes.open import located

HELD_OUT = 8  # one of so many records
SIMULATED, VALIDATE = 48, 12  # maps


def qsm_proposal(name: str) -> Proposal:
    """Raises DataError for what is neither, naming what was expected."""
    path = located(name)
    if path.is_dir() and any(path.glob("*.npz")):
        return _of_records(name, path)
    phase, magnitude = _pair(path)
    return _of_scan(phase, magnitude)


def _of_records(name: str, path: Path) -> Proposal:
    records = open_records(path, 1.0, 0)
    if records.count < 2:
        raise DataError(f"{name}: expected at least 2 records, received {records.count}")
    held = max(1, records.count // HELD_OUT)
    shape = " x ".join(map(str, records.make(0).chi_ppm.shape))
    data = {"name": str(path), "train": records.count - held, "validation": held}
    reasons = [f"records: {records.count}, of {shape} voxels (z, y, x), taken for 1 mm"]
    return Proposal(_sections(data, min(24, records.count - held)), reasons)


def _of_scan(phase: Path, magnitude: Path | None) -> Proposal:
    volume = nifti.read(phase, "phase", (3, 4), keep_complex=True)
    about = nifti.sidecar(phase)
    sides = np.linalg.norm(volume.affine[:3, :3], axis=0)
    shape = " x ".join(map(str, volume.shape[-3:]))
    reasons = [
        f"phase: {phase}, {shape} voxels (z, y, x) of {' x '.join(f'{n:.3g}' for n in sides)} mm",
        f"magnitude: {magnitude or 'none beside it'}",
    ]
    data: dict[str, Any] = {"name": "shapes", "size": 32, "train": SIMULATED}
    data |= {"validation": VALIDATE, "voxel_mm": int(np.clip(round(float(sides.mean())), 1, 4))}
    for key, field, limits, scale, unit in (
        ("b0_t", "MagneticFieldStrength", TESLA, 1.0, "T"),
        ("te_ms", "EchoTime", SECONDS, 1e3, "ms"),
    ):
        value = about.get(field)
        if isinstance(value, int | float) and limits[0] <= value <= limits[1]:
            data[key] = round(scale * value, 6)
            reasons.append(f"{field}: {data[key]:g} {unit}, from its sidecar")
        else:
            reasons.append(f"{field}: its sidecar names none: the default is assumed")
    masked = f" --magnitude {magnitude}" if magnitude else ""
    end = f"{masked} -o sub-1_Chimap.nii.gz"
    reasons.append(
        f"at once, by the net that is there: famulus apply {phase} --method learned{end}"
    )
    reasons.append(f"after training: famulus apply last {phase}{end}")
    return Proposal(_sections(data, 24), reasons)


def _sections(data: dict[str, Any], batch: int) -> dict[str, dict[str, Any]]:
    net = {"steps": 8, "learn": "noise", "momentum": True, "precondition": True, "tau": 1.0}
    return {
        "data": {**data, "form": "spectrum", "snr": [20, 50, 150], "weights": "none"},
        "model": net,
        "training": {"batch": batch, "optimizer": {"name": "adam", "lr": 0.03}},
    }


def _pair(path: Path) -> tuple[Path, Path | None]:
    """(phase, magnitude) by their names: `part-phase` and `part-mag` as in BIDS, or the words."""
    folder, given = (path, None) if path.is_dir() else (path.parent, path)
    files = sorted(folder.glob("*.nii*")) if folder.is_dir() else []
    phases = [file for file in files if "phase" in file.name.lower()]
    phase = given if given and given.is_file() else next(iter(phases), None)
    if phase is None:
        raise DataError(
            f"{path}: expected a folder of .npz records (field_ppm, chi_ppm), or a phase and a"
            " magnitude as NIfTI, named so"
        )
    beside = [f for f in files if f.name.lower() == phase.name.lower().replace("phase", "mag")]
    beside += [
        f for f in files if f.name.lower() == phase.name.lower().replace("phase", "magnitude")
    ]
    return phase, next((f for f in beside if f != phase), None)
