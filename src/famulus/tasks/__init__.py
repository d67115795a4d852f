"""Tasks by name: a file of a wing, an installed entry point, or a module that a person allows.

An experiment file alone never causes an import: a name is looked up among the files of the
wings (one folder each), then among the entry points of group `famulus.tasks`, then in the modules
named with `--allow-module` on the command line.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from famulus.config.errors import ConfigError
from famulus.config.nearest import suggestion
from famulus.config.schema import Strict
from famulus.config.scores import Scores, checked

if TYPE_CHECKING:
    from famulus.tasks.base import Task

GROUP = "famulus.tasks"


def names() -> list[str]:
    """Every task that can be named without `--allow-module`."""
    return sorted({*_files(), *(entry.name for entry in entry_points(group=GROUP))})


# by the folders at hand: a wing that is removed takes its tasks with it
def _files() -> dict[str, str]:
    """Module of each task of this package by its name: a file of a wing, named in its `TASKS`."""
    return {
        task: f"{wing}.{task}"
        for wing in _wings()
        for task in getattr(importlib.import_module(wing), "TASKS", ())
    }


def _wings() -> list[str]:
    return [f"{__name__}.{m.name}" for m in pkgutil.iter_modules(__path__) if m.ispkg]


def faults() -> list[str]:
    """Modules of faulty twins: each is a sound task with one line broken, as in the journals.

    They exist to be diagnosed. `famulus cases` allows them by itself; elsewhere one is allowed as
    any module is: `famulus run experiments/cases/X.yaml --allow-module MODULE`.
    """
    modules = []
    for wing in _wings():
        folder = f"{wing}.faults"
        if importlib.util.find_spec(folder):
            inside = pkgutil.iter_modules(importlib.import_module(folder).__path__)
            modules += sorted(f"{folder}.{m.name}" for m in inside)
    return modules


def name_of(module: str) -> str:
    """What `task:` calls a module: by its file, and a faulty twin by its task and its file."""
    above, _, name = module.rpartition(".")
    wing, _, folder = above.rpartition(".")
    if folder != "faults" or wing not in _wings():
        return name
    own = importlib.import_module(wing).TASKS
    return name if name.startswith(tuple(f"{task}_" for task in own)) else f"{own[0]}_{name}"


@cache
def scores(name: str) -> Scores:
    """What the scores of a task of this package mean, without importing the task (or torch).

    {} of any other: a run records what its task declares; this serves runs older than that record.
    """
    module = _files().get(name)
    if module is None:
        return {}
    return getattr(importlib.import_module(f"{module.rpartition('.')[0]}.scores"), name.upper())


def load(name: str, allowed: Sequence[str] = ()) -> "type[Task]":
    """The one Task class of the named file. Raises ConfigError with the list of tasks."""
    for module in allowed:
        if name_of(module) == name:
            return _class_in(module)
    if name in _files():
        return _class_in(_files()[name])
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _declared(entry.load())
    raise ConfigError(f"task: no task is named {name!r}; {suggestion(name, names())}")


def _class_in(module: str) -> "type[Task]":
    # here: it imports torch, which names and scores must not wait for
    from famulus.tasks.base import Task

    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--allow-module {module}: {error}") from error
    classes = [
        value
        for value in vars(loaded).values()
        # an imported base class is no task of this file
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module
    ]
    if len(classes) != 1:
        raise ConfigError(f"{module}: expected one Task class, received {len(classes)}")
    return _declared(classes[0])


def _declared(kind: "type[Task]") -> "type[Task]":
    # at loading: a wrong declaration is told before any training
    where, config = f"{kind.__module__}.{kind.__name__}", getattr(kind, "Config", None)
    if not (isinstance(config, type) and issubclass(config, Strict)):
        raise ConfigError(
            f"{where}.Config: expected a class derived from famulus.api.Strict, received {config!r}"
        )
    kind.SCORES = checked(kind.SCORES, f"{where}.SCORES")
    return kind
