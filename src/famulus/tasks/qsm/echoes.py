"""What a scanner recorded: the phase of one echo or of several, in a file, a series or a folder.

Shapes: E echoes, Z Y X voxels. Units: s; phases and magnitudes as stored. A file may hold complex
numbers; a folder holds a file an echo, named as in BIDS or as dcm2niix does (`paired_files`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.paired_files import paired
from famulus.tasks.qsm.phase import combine_echoes
from famulus.tasks.qsm.stated_values import SECONDS, form_of, number, one_affine, within
from famulus.volumes import nifti

TIME = ("echo_time", "EchoTime")  # an option, and a key of a sidecar


@dataclass(frozen=True)
class Recorded:
    """`magnitude` is what came with the phase: of complex numbers, or of a folder's files."""

    phase_EZYX: np.ndarray  # float32, as stored; the angle of complex numbers
    magnitude: np.ndarray | Path | None  # float32 EZYX, or the file
    te_s: np.ndarray | None  # E, rising; None where one echo's is still to be stated
    like: nifti.Volume  # ZYX: the first echo
    about: Mapping[str, Any]  # its sidecar
    complex: bool
    sources: tuple[str, ...]  # names of files

    def states_a_time(self, given: Mapping[str, Any]) -> bool:
        """Whether an echo time is known, which a field in Hz or ppm need not have."""
        option, key = TIME
        return self.te_s is not None or given.get(option, self.about.get(key)) is not None

    def echo_time(self, given: Mapping[str, Any]) -> float:
        """That of the first echo, in s. Raises DataError if nothing states it."""
        if self.te_s is not None:
            return float(self.te_s[0])
        return number(given, self.about, *TIME, "seconds", self.like.path, SECONDS)


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


def of_volume(
    volume: nifti.Volume, about: Mapping[str, Any], given: Mapping[str, Any], said: list[str]
) -> Recorded:
    """Of one volume, or of a series if there is an echo time for each of its volumes."""
    path, values = one_affine(volume, "phase").path, volume.values
    series = values if values.ndim == 4 else values[None]
    times, echo = _times(given, about, len(series)), echo_of(given, len(series), path)
    if echo is not None:
        series, times = series[echo : echo + 1], None if times is None else times[echo : echo + 1]
    elif len(series) > 1:
        if times is None:
            raise DataError(
                f"phase {path}: expected 3D, or an echo time for each of its {len(series)} volumes:"
                f' --echo-time "[...]" or EchoTime in its sidecar; --echo N takes one of them'
            )
        # a magnitude lies in a file of its own, in the same order
        if (np.diff(times) <= 0).any():
            raise DataError(f"phase {path}: expected rising echo times, received {times.tolist()}")
    magnitude = None
    is_complex = np.iscomplexobj(series)
    if is_complex:
        said.append(f"{path}: its numbers are complex: their angle is the phase")
        series, magnitude = np.angle(series), np.abs(series)
    like = replace(volume, values=series[0])
    return Recorded(series, magnitude, times, like, about, is_complex, (path.name,))


def _one_of(
    pairs: list[tuple[Path, Path]], folder: Path, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[Path, Path]]]:
    """The options of one of several echoes, and its files."""
    echo, times = echo_of(given, len(pairs), folder) or 0, _times(given, {}, len(pairs))
    rest = {name: value for name, value in given.items() if name != "echo"}
    if times is not None:
        rest["echo_time"] = float(times[echo])
    return rest, [pairs[echo]]


def _of_files(
    pairs: list[tuple[Path, Path]], folder: Path, given: Mapping[str, Any], said: list[str]
) -> Recorded:
    listed = _times(given, {}, len(pairs))
    if listed is None and given.get("echo_time") is not None:
        raise ConfigError(
            f"--echo-time: expected [t1, t2, ...] for the {len(pairs)} echoes of {folder}, received "
            f"{given['echo_time']!r}"
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
    for i in _rising(times, [path.name for path, _ in pairs], folder):
        path, beside = pairs[i]
        phase = nifti.read(path, "phase", form=form_of(given), keep_complex=True)
        read = nifti.read(beside, "magnitude", form=form_of(given))
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


def _times(given: Mapping[str, Any], about: Mapping[str, Any], count: int) -> np.ndarray | None:
    """Echo times E s where there is a list of them. Raises ConfigError for a wrong one."""
    where, named = "--echo-time", given.get("echo_time")
    if named is None:
        where, named = "EchoTime in the sidecar", about.get("EchoTime")
        named = about.get("EchoTimes") if named is None else named
    if not isinstance(named, list | tuple):
        return None
    if len(named) != count:
        raise ConfigError(f"{where}: expected {count} for as many echoes, received {len(named)}")
    return np.array([within(v, where, "seconds", SECONDS) for v in named])


def _rising(times: np.ndarray, names: list[str], path: Path) -> np.ndarray:
    """The order by time, not by name: echo-10 would stand before echo-2."""
    order = np.argsort(times, kind="stable")
    for a, b in pairwise(order):
        if times[a] == times[b]:
            raise DataError(
                f"{path}: two echoes at {times[a]:g} s, {names[a]} and {names[b]}: expected those "
                "of one scan"
            )
    return order


def echo_of(given: Mapping[str, Any], count: int, path: Path) -> int | None:
    """`--echo`, counted from 0; None without. Raises ConfigError for one that there is not."""
    echo = given.get("echo")
    if echo is None:
        return None
    if isinstance(echo, bool) or not isinstance(echo, int) or not 1 <= echo <= count:
        raise ConfigError(f"--echo: expected 1 to {count}, the echoes of {path}, received {echo!r}")
    return echo - 1


def combined(
    phase_EZYX_rad: np.ndarray,
    magnitude_EZYX: np.ndarray | None,
    te_s: np.ndarray,
    inside: np.ndarray,
    said: list[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """(field float32 ZYX in Hz, 0 outside of the mask; facts for the sidecar)."""
    if magnitude_EZYX is None:
        said.append("there is no magnitude: all echoes count alike")
        magnitude_EZYX = np.ones_like(phase_EZYX_rad)
    hz, _, residual = combine_echoes(phase_EZYX_rad, magnitude_EZYX, 1e3 * te_s, inside)
    return hz.astype(np.float32), {
        "EchoTimes": te_s.tolist(),
        "Unwrapping": "maximum spanning tree; echoes follow in time; fit weighted by magnitude^2",
        "ResidualMedian_rad": float(np.median(residual[inside])),
    }
