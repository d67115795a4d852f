"""Settings as a program holds them, as the plain values of a file."""

import os
from typing import Any

from famulus.config.errors import ConfigError

PLAIN = (str, int, float, bool)


def plain(value: Any, path: str) -> Any:
    """Sections, lists, numbers and text; numpy's numbers and arrays and paths become such.

    Raises ConfigError with the dotted path of what no file can hold.
    """
    # by its exact type: numpy's float is a float, and is written otherwise
    if value is None or type(value) in PLAIN:
        return value
    if isinstance(value, dict):
        return {key: plain(inner, f"{path}.{key}".strip(".")) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{path}.{n}") for n, inner in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # of arrays, tensors and their numbers
        return plain(value.tolist(), path)
    raise ConfigError(f"{path}: expected a plain value, received {type(value).__name__}")
