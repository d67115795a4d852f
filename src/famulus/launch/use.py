"""`famulus apply`: a trained model on a person's own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.nearest import suggestion
from famulus.feed.progress import note
from famulus.launch.trained import Trained, open_trained
from famulus.tasks.base import Task


def apply(trained: Trained, inputs: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Hands the task its model; what its user must know of it first is said on stderr.

    With the option `method`, another one in the model's place: to compare.
    """
    if str(options.get("method")) in trained.task.shipped:
        rest = {key: value for key, value in options.items() if key != "method"}
        return apply(_shipped(type(trained.task), str(options["method"])), inputs, out, rest)
    for sentence in trained.notes:
        note(sentence)
    with torch.no_grad():
        trained.task.apply(trained.module, inputs, out, options)


def apply_method(
    method: str, inputs: Path, out: Path, options: Mapping[str, Any], allowed: Sequence[str] = ()
) -> None:
    """A method that needs no training, or whose model comes with the package, of whichever task has
    one of that name."""
    of = {name: task for task in _tasks(allowed) for name in (*task.methods, *task.shipped)}
    if method not in of:
        raise ConfigError(f"--method {method}: {suggestion(method, sorted(of))}")
    if method in of[method].shipped:
        apply(_shipped(of[method], method), inputs, out, options)
    else:
        of[method].apply_method(method, inputs, out, options)


def _shipped(kind: type[Task], method: str) -> Trained:
    return open_trained(kind.shipped[method])


def _tasks(allowed: Sequence[str]) -> list[type[Task]]:
    names = [*tasks.names(), *(tasks.name_of(module) for module in allowed)]
    return [tasks.load(name, allowed) for name in names]
