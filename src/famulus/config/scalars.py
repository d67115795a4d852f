"""What an unquoted word of YAML means: YAML 1.2's core schema, plus digits grouped by `_`.

YAML 1.1 readers take `010` as 8, `no` as false, `12:30:45` as 45045, a date as an object and
`3e-4` as text. Here `no`, `on` and `12:30:45` are text, `3e-4` is a number, and what people read
in two ways (`010`, `1__0`, a bare date) is refused with the reason.
"""

import math
import re

NULL = {"", "~", "null", "Null", "NULL"}
BOOL = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(
    ("false", "False", "FALSE"), False
)
SPECIAL = dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf)
SPECIAL |= dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf)
SPECIAL |= dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)

DIGITS = r"[0-9]+(?:_[0-9]+)*"
INTEGER = re.compile(rf"[-+]?{DIGITS}")
BASED = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
FLOAT = re.compile(rf"[-+]?(?:\.{DIGITS}|{DIGITS}(?:\.(?:{DIGITS})?)?)(?:[eE][-+]?[0-9]+)?")
NUMBERLIKE = re.compile(r"[-+]?\.?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]+)?")
LEADING_ZERO = re.compile(r"[-+]?0[0-9_]")
DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|\s+|$)(?:[0-9]{1,2}:[0-9:.]+.*)?")
# Python's own conversion of digits takes time that grows with their square
LONGEST = 40  # characters of a number


def resolve(text: str) -> bool | int | float | str | None:
    """The value of an unquoted scalar.

    Raises ValueError with the reason for a word that would be read in two ways.
    """
    if text in NULL:
        return None
    if text in BOOL:
        return BOOL[text]
    if text in SPECIAL:
        return SPECIAL[text]
    if DATE.fullmatch(text):
        raise ValueError(f'{text} reads as a date: quote it ("{text}") to keep it as text')
    if BASED.fullmatch(text):
        return int(_short(text), 0)
    if not NUMBERLIKE.fullmatch(text):
        return text
    if LEADING_ZERO.match(text):
        bare = text.lstrip("+-0_") or "0"
        raise ValueError(
            f'{text} has a leading zero, which is octal to some readers: write {bare}, or "{text}"'
        )
    if INTEGER.fullmatch(text):
        return int(_short(text))
    if not FLOAT.fullmatch(text):
        raise ValueError(f'{text}: expected single "_" between digits, as 1_000_000, or quotes')
    value = float(_short(text))
    # Python reads 1e999 as infinity.
    if math.isinf(value):
        raise ValueError(f"{text} is beyond the range of a number")
    return value


def _short(text: str) -> str:
    if len(text) > LONGEST:
        raise ValueError(f"expected a number of at most {LONGEST} characters, or quotes")
    return text
