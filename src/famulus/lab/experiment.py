"""An experiment file as keywords: validated as a file is, and as runnable."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from famulus.config.errors import ConfigError
from famulus.config.experiment import Plan
from famulus.config.yaml import dump
from famulus.lab.lab import train
from famulus.lab.plain import plain
from famulus.lab.run import Runs
from famulus.launch.actions import read_plan
from famulus.launch.store import open_store

PLACE = "keywords of famulus.experiment"  # where a plan is from that no file holds
TEXT = "text:"  # how a parser names what is no file


class Experiment:
    """A checked experiment. `yaml`: its file's text; `plan`: its cells, with filled settings."""

    def __init__(self, settings: Mapping[str, Any], allow_module: Sequence[str] = ()) -> None:
        self.yaml = dump(plain(dict(settings), ""))
        self._modules = tuple(allow_module)
        try:
            self.plan: Plan = read_plan(self.yaml, (), self._modules)
        except ConfigError as error:
            # a line of a text that nobody has seen says nothing; the dotted path does
            _, _, problem = str(error).partition(": ")
            text = problem if str(error).startswith(TEXT) else str(error)
            raise ConfigError(text, cause=error.cause) from None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the file; `famulus run` takes it. Raises ConfigError where one is already."""
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "x", encoding="utf-8") as file:  # never over a person's own
                file.write(self.yaml)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(f"{target}: can't write the experiment: {reason}") from error
        return target

    def run(self, store: str | os.PathLike[str] | None = None, workers: int = 1) -> Runs:
        """Trains its cells that are not finished: as `famulus.Lab.run`. It must have a name."""
        if "name" not in self.plan.document.value:
            raise ConfigError("name: an experiment without a file needs one: expected name=...")
        with TemporaryDirectory() as folder:
            file = self.save(Path(folder) / "experiment.yaml")
            return train(open_store(store), self._modules, file, {}, workers, PLACE)

    def __repr__(self) -> str:
        return f"<experiment {self.plan.name}: {self.plan.task}, {len(self.plan.cells)} cells>"


def experiment(
    *,
    why: str,
    task: str,
    name: str | None = None,
    matrix: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    loss: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    allow_module: Sequence[str] = (),
    **more: Any,
) -> Experiment:
    """An experiment file as keywords; sections are dicts, `${matrix.lr}` stands for an axis.

    `more`: replicates, start_from, expect, cost, and first stages as `codes="last:codes/tiles"`.
    Raises ConfigError with the dotted path of a mistake: `training.bach: unknown key, ...`.
    """
    settings = {"name": name, "why": why, "task": task, "matrix": matrix, "data": data}
    settings |= {"model": model, "loss": loss, "training": training, **more}
    return Experiment({k: v for k, v in settings.items() if v is not None}, allow_module)
