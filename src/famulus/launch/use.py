"""`famulus apply`: a trained model on a person's own files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.nearest import suggestion
from famulus.launch.local import choose_device
from famulus.launch.session import Session
from famulus.launch.trained import of_run
from famulus.store.run import Run


def apply(
    session: Session, run: Run, which: str, inputs: Path, out: Path, options: Mapping[str, Any]
) -> None:
    """Hands the task its model with the weights of checkpoint `which`, in eval mode."""
    device, _ = choose_device(run.config()["training"]["device"])
    trained = of_run(session, run, which, device)
    with torch.no_grad():
        trained.task.apply(trained.module, inputs, out, options)


def apply_method(
    method: str, inputs: Path, out: Path, options: Mapping[str, Any], allowed: Sequence[str] = ()
) -> None:
    """A method that needs no training, of whichever task has one of that name."""
    kinds = [tasks.load(name, allowed) for name in tasks.names()]
    kinds += [tasks.load(tasks.name_of(module), allowed) for module in allowed]
    of = {name: task for task in kinds for name in task.methods}
    if method not in of:
        raise ConfigError(f"--method {method}: {suggestion(method, sorted(of))}")
    of[method].apply_method(method, inputs, out, options)
