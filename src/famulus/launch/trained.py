"""A trained model ready for use: from a run and what it stored, without its training data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load as unpack
from torch import nn

from famulus import tasks
from famulus.config.schema import Strict
from famulus.launch.plan import Ready, again, is_whole
from famulus.launch.session import Session
from famulus.store.run import Run
from famulus.tasks.base import Parent, Task
from famulus.training import checkpoint as pack

PARENTS = "parents"  # of built_from.json: what a net took from earlier runs


@dataclass(frozen=True)
class Trained:
    """A net in eval mode, with the task that uses it. `name`: the run or the folder it is of."""

    task: Task
    module: nn.Module
    config: Mapping[str, Any]
    built_from: Mapping[str, Any]
    name: str


def basis_of(cell: Ready) -> dict[str, Any]:
    """As built_from.json holds it: the task's own facts, and settings of the runs it stands on."""
    parents = {
        key: {"run": parent.run, "config": parent.config, "built_from": parent.built_from}
        for key, parent in cell.task.parents.items()
    }
    return {**cell.task.built_from(cell.data), **({PARENTS: parents} if parents else {})}


def of_run(session: Session, run: Run, which: str, device: torch.device) -> Trained:
    """The model of a run's checkpoint `which`. No data are opened, but for a run older than
    built_from.json. Raises ConfigError, DataError, StoreError."""
    config, basis = run.config(), run.built_from()
    is_whole(config, run)
    if basis is None:
        basis = basis_of(again(session, run))
    kind = tasks.load(config["task"], session.modules)
    weights = {}
    for key in kind.needs:
        if reference := config.get(key):
            parent = session.store.find(reference["run"]).open_checkpoint(int(reference["step"]))
            weights[key] = parent.read(parent.weights)
    opened = run.open_checkpoint(run.step_of(which))
    return assemble(kind, config, basis, opened.read(opened.weights), weights, str(opened), device)


def assemble(
    kind: type[Task],
    config: Mapping[str, Any],
    basis: Mapping[str, Any],
    weights: bytes,
    parents: Mapping[str, bytes],
    name: str,
    device: torch.device,
) -> Trained:
    """`weights` and those of `parents` as safetensors. Raises ConfigError, StoreError."""
    task = kind(
        settings_of(kind.Config, config),
        {
            key: Parent(
                stored["run"],
                stored["config"],
                unpack(parents[key]) if key in parents else {},
                stored.get("built_from"),
            )
            for key, stored in (basis.get(PARENTS) or {}).items()
        },
    )
    task.stored = basis
    module = task.build().to(device)
    pack.load_model(module, weights, name)
    return Trained(task, module.eval(), config, basis, name)


def settings_of(schema: type[Strict], config: Mapping[str, Any]) -> Strict:
    """The sections of a filled config that a task takes."""
    own = [key for key in ("data", "model", "loss") if key in schema.model_fields]
    return schema.model_validate({key: config[key] for key in own if key in config})
