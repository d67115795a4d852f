"""What a scanner recorded, the phase of one echo or of several; and one field of all of them.

Shapes: E echoes, Z Y X voxels. Units: s; phases and magnitudes as stored, which may be complex
numbers; fields in Hz.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.tasks.qsm.phase import combine_echoes
from famulus.tasks.qsm.stated_values import SECONDS, number, one_affine, within
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


def of_volume(
    volume: nifti.Volume, about: Mapping[str, Any], given: Mapping[str, Any], said: list[str]
) -> Recorded:
    """Of one volume, or of a series if there is an echo time for each of its volumes."""
    path, values = one_affine(volume, "phase").path, volume.values
    series = values if values.ndim == 4 else values[None]
    times, echo = listed_times(given, about, len(series)), echo_of(given, len(series), path)
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


def listed_times(
    given: Mapping[str, Any], about: Mapping[str, Any], count: int
) -> np.ndarray | None:
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


def rising(times: np.ndarray, names: list[str], path: Path) -> np.ndarray:
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
