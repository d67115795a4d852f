"""Recordings in files: one volume, a series of echoes in one file, or a folder with a file an echo.

Shapes: E echoes, Z Y X voxels. Names in a folder: `paired_files`.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.echoes import TIME, Recorded, echo_of, listed_times, of_volume, rising
from famulus.tasks.qsm.paired_files import paired
from famulus.tasks.qsm.stated_values import SECONDS, form_of, number, one_affine
from famulus.volumes import nifti


def recorded(path: Path, given: Mapping[str, Any], said: list[str]) -> Recorded:
    """A file or a folder of them. Raises DataError or ConfigError, one line each."""
    path, magnitude = Path(path), None
    if os.path.isdir(path):
        pairs = paired(path)
        if len(pairs) > 1 and given.get("echo") is None:
            return _of_files(pairs, path, given, said)
        if len(pairs) > 1:
            given, pairs = _one_of(pairs, path, given)
        path, magnitude = pairs[0]  # which may be a series
    volume = nifti.read(path, "phase", (3, 4), form=form_of(given), keep_complex=True)
    found = of_volume(volume, nifti.sidecar(path), given, said)
    if magnitude is None or found.complex:
        return found
    return replace(found, magnitude=magnitude, sources=(*found.sources, magnitude.name))


def _one_of(
    pairs: list[tuple[Path, Path]], folder: Path, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[Path, Path]]]:
    """The options of one of several echoes, and its files."""
    echo, times = echo_of(given, len(pairs), folder) or 0, listed_times(given, {}, len(pairs))
    rest = {name: value for name, value in given.items() if name != "echo"}
    if times is not None:
        rest["echo_time"] = float(times[echo])
    return rest, [pairs[echo]]


def _of_files(
    pairs: list[tuple[Path, Path]], folder: Path, given: Mapping[str, Any], said: list[str]
) -> Recorded:
    listed = listed_times(given, {}, len(pairs))
    if listed is None and given.get("echo_time") is not None:
        raise ConfigError(
            f"--echo-time: expected [t1, t2, ...] for the {len(pairs)} echoes of {folder}, "
            f"received {given['echo_time']!r}"
        )
    abouts = [nifti.sidecar(path) for path, _ in pairs]
    times = np.array(
        [
            number({}, about, *TIME, "seconds", path, SECONDS)
            for about, (path, _) in zip(abouts, pairs, strict=True)
        ]
        if listed is None
        else listed
    )
    _agree(abouts, pairs, folder)
    rows = []
    for i in rising(times, [path.name for path, _ in pairs], folder):
        path, beside = pairs[i]
        phase = nifti.read(path, "phase", form=form_of(given), keep_complex=True)
        read = nifti.read(beside, "magnitude", form=form_of(given), form_needed=False)
        rows.append((of_volume(phase, abouts[i], {}, said), one_affine(read, "magnitude")))
    first = rows[0][0]
    for found, magnitude in rows:
        nifti.same_grid(first.like, found.like, "phase")
        nifti.same_grid(first.like, magnitude, "magnitude")
        if found.complex != first.complex:
            raise DataError(f"{folder}: some echoes are complex numbers, others are not")
    phases = np.concatenate([found.phase_EZYX for found, _ in rows])
    stacked = np.stack([magnitude.values for _, magnitude in rows])
    sources = tuple(v.path.name for found, magnitude in rows for v in (found.like, magnitude))
    return replace(
        first, phase_EZYX=phases, magnitude=stacked, te_s=np.sort(times), sources=sources
    )


def _agree(abouts: list[dict[str, Any]], pairs: list[tuple[Path, Path]], folder: Path) -> None:
    """Raises DataError unless all sidecars have one unit and one manufacturer."""
    for key in ("Units", "Manufacturer"):
        for about, (path, _) in zip(abouts, pairs, strict=True):
            if about.get(key) != abouts[0].get(key):
                raise DataError(
                    f"{folder}: {key} of {path.name} is {about.get(key)}, of {pairs[0][0].name} "
                    f"{abouts[0].get(key)}: expected one for all"
                )
