"""Numbers as a person writes them: rounded by their spread, with a unit that fits."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

# what a configuration or a JSON file holds
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
MINUS = "\u2212"


def number(value: Any) -> TypeGuard[float]:
    """Is `value` a finite number (no bool)?"""
    # True is an int to Python, and no score
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and math.isfinite(value)


def finite(value: Any) -> float | None:
    """`value`, if it is a finite number."""
    return float(value) if number(value) else None


def figure(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits, thousands separated, no exponent between 1e-4 and 1e7."""
    if value is None:
        return ""
    value = float(value)
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "NaN")
    if value == 0:
        return "0"
    # of the rounded number: 9.996 has another size once it is 10.0
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if size < -4 or size >= 7:
        return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.{max(0, digits - 1 - size)}f}"


def spread_decimals(spread: float) -> int:
    """Decimals that show one digit of `spread`, two where the first is a 1."""
    size = math.floor(math.log10(float(f"{spread:.1e}")))
    first = int(f"{spread:.1e}"[0])
    # one digit of a spread is all that a few replicates support; 1 rounds too coarsely
    return max(0, -size + (first == 1))


def with_spread(mean: float, spread: float | None) -> tuple[str, str]:
    """('0.0349', '0.0005'): the mean rounded to what its spread allows; '' without a spread."""
    if spread is None or not math.isfinite(spread) or spread <= 0 or not math.isfinite(mean):
        return figure(mean), ""
    # as many decimals as the spread asks for would be unreadable
    if spread < abs(mean) * 1e-6 or spread < 1e-7 or not 1e-4 <= abs(mean) < 1e7:
        return figure(mean), figure(spread, 2)
    decimals = spread_decimals(spread)
    return f"{mean:,.{decimals}f}", f"{spread:,.{decimals}f}"


def pm(mean: float, spread: float | None) -> str:
    """`mean ± spread` in one string."""
    return " ± ".join(part for part in with_spread(mean, spread) if part)


def percent(share: float) -> str:
    """A share as per cent: whole above 2 %, one decimal below; what is not 0 never reads as 0."""
    value = 100 * share
    if 0 < abs(value) < 0.05:
        return "< 0.1 %" if value > 0 else f"> {MINUS}0.1 %"
    return f"{value:.0f} %" if abs(value) >= 2 or value == 0 else f"{value:.1f} %"


def percent_range(low: float, high: float) -> str:
    """'22–38 %'."""
    a, b = percent(low), percent(high)
    return a if a == b else f"{a.removesuffix(' %')}–{b}"


def count(n: float, digits: int = 3) -> str:
    """1,000,000 as '1 M', 512,000 as '512 k', 640 as '640'."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(n) >= size:
            return f"{float(f'{n / size:.{digits}g}'):.12g} {unit}"
    return f"{n:g}"


# name, seconds and until how many seconds a person counts in it
UNITS = (("ms", 1e-3, 1.0), ("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0),
         ("d", 86_400.0, math.inf))  # fmt: skip


def time_unit(seconds: float) -> tuple[str, float]:
    """Name and length in seconds of the unit in which an axis or a column up to `seconds` reads."""
    return next((name, size) for name, size, end in UNITS if seconds < end)


def duration(seconds: float | None) -> str:
    """'1 h 52 min', '4.2 min', '38 s', '40 ms'; below a millisecond '< 1 ms'."""
    if seconds is None:
        return ""
    # each limit is that of the rounded figure: 59.97 s must not be written as 60 s
    if seconds >= 86400 - 30:
        hours = round(seconds / 3600)
        return f"{hours // 24} d {hours % 24} h"
    if seconds >= 3600 - 30:
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60} min"
    if seconds >= 600 - 3:
        return f"{seconds / 60:.0f} min"
    if seconds >= 60 - 0.05:
        return f"{seconds / 60:.1f} min"
    if seconds >= 1 - 0.0005:
        return f"{seconds:.3g} s"
    if 0 < seconds < 0.001:
        return "< 1 ms"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def plain(value: JSON) -> str:
    """A value of a configuration in a table's cell; None is blank, as where a key is absent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:g}"
        # six digits if they are enough to be the same number
        return text if float(text) == value else repr(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k}: {plain(v)}" for k, v in value.items())
    return str(value)


def plural(n: int, word: str) -> str:
    """'1 cell', '3 cells'."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
