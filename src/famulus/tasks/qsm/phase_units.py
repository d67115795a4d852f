"""How a phase is stored: its unit, and which of a file's own numbers are one turn.

Shapes: any number of axes, the last three Z Y X. Units: rad; what scanners write has none. One
turn is 8192 or 4096 numbers of Siemens (Philips has the latter, too), 6283 of GE and Philips
(milliradians), 2 in units of pi.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError

UNITS = ("rad", "hz", "ppm")
SPELLED = {"radian": "rad", "radians": "rad", "hertz": "hz"}
NO_UNIT = ("arbitrary", "a.u.", "a.u", "au", "arb", "arb.", "arbitrary units", "none", "n/a", "")
TURN_RAD = 3.1416  # pi as files round it
LARGEST = {"rad": 100.0, "ppm": 100.0, "hz": 1e5}  # no phase or field of tissue is larger
SMALLEST = 1e-6  # rad, Hz or ppm: a field in T/T, or none at all
FILLED, FEW = 1e-3, 10  # of the voxels in each quarter of a range; steps that may be chance
LINES = 64
NEAR = 0.02  # of a turn: so near to both of its ends a wrapped phase comes


@dataclass(frozen=True)
class Stored:
    """`low` to `high` in a file stand for -pi..pi."""

    low: float
    high: float
    turn: float
    of: str

    def fits(self, low: float, high: float) -> bool:
        """Whether values of this range can be stored so: within it, and no speck in it."""
        edge = NEAR * self.turn
        within = self.low - edge <= low and high <= self.high + edge
        return within and high - low > edge

    def filled(self, low: float, high: float) -> bool:
        return max(abs(low - self.low), abs(high - self.high)) <= NEAR * self.turn


RAD = Stored(-pi, pi, 2 * pi, "rad")
RAD_FROM_0 = Stored(0, 2 * pi, 2 * pi, "rad from 0")
HALF, WHOLE = Stored(-4096, 4095, 8192, "Siemens"), Stored(0, 4095, 4096, "Siemens or Philips")
MILLI = Stored(-1000 * pi, 1000 * pi, 2000 * pi, "GE or Philips, mrad")
DEGREES = Stored(-180, 180, 360, "degrees")
UNITS_OF_PI, TURNS = Stored(-1, 1, 2, "units of pi"), Stored(-0.5, 0.5, 1, "turns")
RESCALE = {
    "siemens": (HALF, WHOLE),
    "philips": (MILLI, WHOLE),
    "ge": (MILLI,),
    "degrees": (DEGREES,),
    "pi": (UNITS_OF_PI,),
    "turns": (TURNS,),
}
RAW = (HALF, WHOLE, MILLI)


def unit_of(
    values: np.ndarray, given: Mapping[str, Any], about: Mapping[str, Any], path: Path, echoes: int
) -> tuple[str, str]:
    """(unit, who says so). An echo time on the command line, or one of each of several echoes,
    with all values within a turn, says rad: a field in Hz or ppm has none."""
    where, named = "--units", given.get("units")
    if given.get("rescale") not in (None, "none"):
        if named is not None and _spelled(named) != "rad":
            raise ConfigError(f"--rescale makes rad: leave out --units {named}")
        return "rad", "--rescale"
    if named is None:
        where, named = "sidecar", about.get("Units")
    if named is not None and _spelled(named) not in NO_UNIT:
        unit = _spelled(named)
        if unit not in UNITS:
            hint = ": say --rescale degrees" if unit in ("degrees", "degree", "deg") else ""
            raise DataError(
                f"phase {path}: expected units of rad, hz or ppm, received {named}{hint}"
            )
        return unit, where
    low, high = _range(values)
    turn = max(-low, high) <= TURN_RAD
    timed = f"{echoes} echoes were" if echoes > 1 else "--echo-time was"
    # where a sidecar says that there is no unit, nothing less than a whole turn says rad
    whole = named is None or RAD.filled(low, high)
    if turn and whole and (echoes > 1 or given.get("echo_time") is not None):
        return "rad", f"{timed} given, and all values lie within -pi..pi"
    found = "rad: --units rad" if _is_rad(low, high) else looks_like(low, high)
    found = found or ("the magnitude" if low >= 0 else "")
    said = "" if named is None else f" ({where} says {named})"
    raise DataError(
        f"phase {path}: its unit is not known{said}: say --units rad, hz or ppm, or put Units into "
        f"its JSON sidecar; {_shown(low, high)}{found and f' looks like {found}'}"
    )


def in_rad(
    values: np.ndarray,
    inside: np.ndarray,
    unit: str,
    given: Mapping[str, Any],
    path: Path,
    said: list[str],
) -> np.ndarray:
    """The values in `unit`, of a phase within -pi..pi where the file holds it otherwise; what was
    converted is said. `inside`: where they are to make sense.

    Raises DataError for a range that can't be a phase or a field, ConfigError for a --rescale that
    does not exist.
    """
    rescale = given.get("rescale")
    if rescale == "none":
        return values
    low, high = _range(values)
    if rescale is not None and not (rescale == "auto" and _is_rad(low, high)):
        how = _chosen(rescale, low, high, path)
        said.append(f"{path}: {_shown(how.low, how.high)} taken for -pi..pi ({how.of})")
        middle = how.low + how.turn / 2
        return (values - np.float32(middle)) * np.float32(2 * pi / how.turn)
    shown = f"phase {path}: {_shown(low, high)} can't be {unit}"
    as_it_is = "if it is meant as it is, say --rescale none"
    if low == high:
        raise DataError(f"{shown}: it is the same everywhere")
    if max(-low, high) < SMALLEST:
        raise DataError(f"{shown}: it is too small for any unit; {as_it_is}")
    if unit == "rad" and low >= 0 and _is_rad(low, high):
        said.append(f"{path}: 0..2 pi taken for the same angles in -pi..pi")
        return np.where(values > pi, values - np.float32(2 * pi), values)
    found = looks_like(low, high)
    whole = high - low > 2 * pi and bool((values == np.round(values)).all())
    if max(-low, high) > LARGEST.get(unit, np.inf) or (whole and (found or unit == "rad")):
        other = "Hz" if unit == "ppm" else "raw scanner units: --rescale [low, high] says which"
        magnitude = "" if low < 0 else ", or like the magnitude"
        raise DataError(f"{shown} but looks like {found or other}{magnitude}; {as_it_is}")
    if low >= -1e-3 * high:
        raise DataError(f"{shown}: no value is below 0: is it the magnitude? {as_it_is}")
    wraps = turn_of_wraps(values, inside)
    if wraps and unit != "rad":
        raise DataError(f"{shown}: neighbours jump by {wraps:.4g}, as a wrapped phase does")
    if wraps and not 0.9 < wraps / (2 * pi) < 1.1:
        raise DataError(
            f"{shown}: neighbours jump by {wraps:.4g} where a phase wraps, and a turn of rad is "
            f"6.283{found and f'; it looks like {found}'}; {as_it_is}"
        )
    if unit == "rad" and found:
        said.append(f"{path}: {_shown(low, high)} taken for rad, though it looks like {found}")
    return values


def looks_like(low: float, high: float) -> str:
    """In words what else than rad a range may be, and what to say then; "" for nothing known."""
    for kind in (*RAW, DEGREES, UNITS_OF_PI, TURNS):
        if kind.filled(low, high):
            raw = "raw scanner units" if kind in RAW else "a phase"
            names = " or ".join(name for name, kinds in RESCALE.items() if kind in kinds)
            return f"{raw} ({kind.of}): --rescale {names}"
    return ""


def turn_of_wraps(values: np.ndarray, inside: np.ndarray) -> float:
    """By how much neighbours jump where a phase wraps; 0 where it does not.

    Steps of a field are small, and those at a wrap nearly the whole range: few lie between. Of
    noise three times as many do. Values must fill their range, or a bright voxel would be a wrap.
    """
    held = values[..., inside]
    low, high = _range(held)
    if high <= low or np.histogram(held, 4)[0].min() < FILLED * held.size:
        return 0.0
    near = middle = 0
    for axis in range(3):
        part = thinned(axis, inside.shape)
        within = np.moveaxis(inside[part], axis, 0)
        index: Any = (..., *part)
        along = np.moveaxis(values[index], axis - 3, -3)
        step = np.abs(np.diff(along, axis=-3))[..., within[:-1] & within[1:]] / (high - low)
        near += int((step > 0.75).sum())
        middle += int(((step > 0.5) & (step <= 0.75)).sum())
    return high - low if near > max(FEW, middle) else 0.0


def thinned(axis: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """All along one axis, and of large volumes some LINES along the others: enough to judge by."""
    return tuple(
        slice(None, None, 1 if a == axis else max(1, n // LINES)) for a, n in enumerate(shape)
    )


def _chosen(rescale: Any, low: float, high: float, path: Path) -> Stored:
    if isinstance(rescale, list | tuple):
        if len(rescale) != 2 or not all(_number(v) for v in rescale) or rescale[0] >= rescale[1]:
            raise ConfigError(f"--rescale: expected [low, high] as numbers, received {rescale!r}")
        start, end = map(float, rescale)
        kinds: tuple[Stored, ...] = (Stored(start, end, end - start, "--rescale"),)
    elif rescale == "auto":
        known = (*RAW, DEGREES, UNITS_OF_PI, TURNS)
        kinds = tuple(kind for kind in known if kind.filled(low, high))
    elif isinstance(rescale, str) and rescale in RESCALE:
        kinds = RESCALE[rescale]
    else:
        names = ", ".join(("auto", "none", *RESCALE))
        raise ConfigError(f"--rescale: expected {names} or [low, high], received {rescale!r}")
    for kind in kinds:
        if kind.fits(low, high) and (kind is not HALF or low < 0):
            return kind
    expected = " or ".join(_shown(k.low, k.high) for k in kinds) or "a range that scanners use"
    found = looks_like(low, high)
    raise DataError(
        f"phase {path}: --rescale {rescale}: expected {expected}, received {_shown(low, high)}"
        f"{found and f': looks like {found}'}"
    )


def _is_rad(low: float, high: float) -> bool:
    """Whether the range is a whole turn in rad, from -pi or from 0."""
    return RAD.filled(low, high) or (RAD_FROM_0.filled(low, high) and low >= 0)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _spelled(named: Any) -> str:
    word = str(named).strip().lower()
    return SPELLED.get(word, word)


def _range(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _shown(low: float, high: float) -> str:
    return f"{low:.4g}..{high:.4g}"
