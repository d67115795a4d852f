"""Values among the options of `famulus apply`, checked before anything is computed."""

from collections.abc import Mapping
from typing import Any

from famulus.config.errors import ConfigError
from famulus.config.nearest import suggestion

LARGEST = 2**63 - 1  # what a seed may be


def known(options: Mapping[str, Any], declared: Mapping[str, str]) -> None:
    """Raises ConfigError for an option that is none of `declared`, with the nearest name."""
    for name in sorted(set(options) - set(declared)):
        hint = suggestion(name, declared) if declared else "none is expected here"
        raise ConfigError(f"apply: expected an option of its task, received {name}: {hint}")


def listed(declared: Mapping[str, str]) -> list[str]:
    """`--name  what it says`, a line each."""
    flags = {"--" + name.replace("_", "-"): text for name, text in declared.items()}
    width = max(map(len, flags), default=0) + 2
    return [f"{flag:<{width}}{text}" for flag, text in flags.items()]


def whole(
    options: Mapping[str, Any], name: str, default: int, least: int = 0, most: int = LARGEST
) -> int:
    """`options[name]`, or `default`: a whole number from `least` to `most`, else ConfigError."""
    value = options.get(name, default)
    # True is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(
            f"apply: option {name}: expected a whole number >= {least}, received {value!r}"
        )
    if value > most:
        raise ConfigError(
            f"apply: option {name}: expected a whole number <= {most:,}, received {value:,}"
        )
    return value


def share(options: Mapping[str, Any], name: str) -> float:
    """`options[name]` in 0..1, 1 itself left out. Raises ConfigError for anything else."""
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(
            f"apply: option {name}: expected a share of at least 0 and below 1, received {value!r}"
        )
    return float(value)


def flag(options: Mapping[str, Any], name: str) -> bool:
    """`options[name]`, or False. Raises ConfigError unless it is true or false."""
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise ConfigError(f"apply: option {name}: expected true or false, received {value!r}")
    return value
