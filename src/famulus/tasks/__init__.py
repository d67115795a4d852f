"""Tasks by name: a file here, an installed entry point, or a module that a person allows.

An experiment file alone never causes an import: a name is looked up among the files of this
package, then among the entry points of group `famulus.tasks`, then in the modules named with
`--allow-module` on the command line.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from famulus.config.errors import ConfigError
from famulus.config.nearest import suggestion

if TYPE_CHECKING:
    from famulus.tasks.base import Task

GROUP = "famulus.tasks"


def names() -> list[str]:
    """Every task that can be named without `--allow-module`."""
    return sorted(_files() | {entry.name for entry in entry_points(group=GROUP)})


def _files() -> set[str]:
    """The tasks of this package; a file `<task>_settings` holds a task's sections."""
    found = {m.name for m in pkgutil.iter_modules(__path__)} - {"base"}
    return {name for name in found if not name.endswith("_settings")}


def load(name: str, allowed: Sequence[str] = ()) -> "type[Task]":
    """The one Task class of the named file. Raises ConfigError with the list of tasks."""
    for module in allowed:
        if module.rpartition(".")[2] == name:
            return _class_in(module)
    if name in _files():
        return _class_in(f"{__name__}.{name}")
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return entry.load()
    raise ConfigError(f"task: no task is named {name!r}; {suggestion(name, names())}")


def _class_in(module: str) -> "type[Task]":
    from famulus.tasks.base import Task

    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--allow-module {module}: {error}") from error
    classes = [
        value
        for value in vars(found).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module
    ]
    if len(classes) != 1:
        raise ConfigError(f"{module}: expected one Task class, received {len(classes)}")
    return classes[0]
