"""`--set training.batch=128`: a value put into the file's settings before they are checked."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from famulus.config.errors import ConfigError, SettingError
from famulus.config.nearest import suggestion
from famulus.config.problems import shown
from famulus.config.yaml import parse_value

Path = tuple[str | int, ...]
MATRIX_WORDS = ("include", "exclude")


def apply(value: Any, overrides: Iterable[str]) -> tuple[Any, dict[Path, str]]:
    """A copy of `value` with `a.b=v` applied in order, and which path came from which override.

    A new key is let through: the schema judges it. Raises ConfigError for text without `=`, for an
    empty key, and for a path through something that is no section.
    """
    value = _copy(value)
    source: dict[Path, str] = {}
    for override in overrides:
        dotted, equals, text = override.partition("=")
        parts = dotted.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"--set {override}: expected key=value, as training.batch=64")
        try:
            new = parse_value(text)
        except ConfigError as error:
            raise ConfigError(f"--set {override}: {_bare(error)}") from None
        try:
            path = _put(value, parts, new)
        except SettingError as error:
            raise ConfigError(f"--set {override}: {error}") from None
        source[path] = override
    return value, source


def responsible(
    given: Sequence[str], fault: str, fault_of: Callable[[Sequence[str]], str]
) -> list[str]:
    """Those of `given` without which `fault` would not be; [] if the file itself has it.

    `fault_of` tries some of them and says what is wrong then. A path proves little: what is wrong
    with a section may come from any of its keys, or from a value that the matrix needed.
    """
    alone = [one for i, one in enumerate(given) if fault_of([*given[:i], *given[i + 1 :]]) != fault]
    if alone or not given or fault_of(()) == fault:
        return alone
    # each would do it by itself: the first that did
    return next([given[n - 1]] for n in range(1, len(given) + 1) if fault_of(given[:n]) == fault)


def _put(value: Any, parts: list[str], new: Any) -> Path:
    path: Path = ()
    here = value
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        key: str | int = part
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                problem = f"expected an index below {len(here)}, received {part}"
                raise SettingError(path, problem)
            key = int(part)
        elif not isinstance(here, dict):
            raise SettingError(path, f"expected a section, received {shown(here)}")
        elif path == ("matrix",) and part not in here and part not in MATRIX_WORDS:
            raise SettingError((*path, part), f"no such axis, {suggestion(part, here)}")
        path = (*path, key)
        if last:
            here[key] = new
        # A section that the file leaves empty (`clip: null`) may still be filled by --set.
        elif isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
        here = here[key]
    return path


def _copy(value: Any) -> Any:
    """A deep copy in which no two places share a part, as YAML's aliases do."""
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _bare(error: ConfigError) -> str:
    """A parser's reason without the `--set:1:1:` before it."""
    return str(error).split(": ", 1)[-1] if str(error).startswith("--set:") else str(error)
