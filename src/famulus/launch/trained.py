"""A trained model ready for use: of a run or of a model folder, without its training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from famulus import __version__, tasks
from famulus.config.errors import ConfigError, DataError, StoreError
from famulus.config.schema import Strict
from famulus.launch.bounded import bounded
from famulus.launch.local import choose_device
from famulus.launch.plan import PARENTS, Imported, again, basis_of, is_whole
from famulus.launch.session import Session
from famulus.launch.store import open_store
from famulus.store.model_folder import WEIGHTS, ModelFolder, names_a_folder, parent_file
from famulus.store.run import Run
from famulus.tasks.base import Parent, Task
from famulus.training import checkpoint as pack

SECTIONS = ("data", "model", "loss")


@dataclass(frozen=True)
class Parts:
    """What a trained model is made of. `weights` and those of `parents` are safetensors.

    `name`: of the run or the folder, for people; `notes`: sentences that its user must read;
    `step`: of the run's checkpoint, None of a folder.
    """

    kind: type[Task]
    config: Mapping[str, Any]
    built_from: Mapping[str, Any]
    weights: bytes
    parents: Mapping[str, bytes]
    name: str
    notes: tuple[str, ...] = ()
    step: int | None = None


@dataclass(frozen=True)
class Trained:
    """A net in eval mode, with the task that uses it. `folder`: None of a run of a store."""

    task: Task
    module: nn.Module
    config: Mapping[str, Any]
    built_from: Mapping[str, Any]
    name: str
    notes: tuple[str, ...] = ()
    folder: ModelFolder | None = None


def open_trained(
    reference: str | Path,
    *,
    store: str | None = None,
    modules: Sequence[str] = (),
    which: str | None = None,
    device: str | torch.device | None = None,
) -> Trained:
    """The model that `reference` means: a run's id or a prefix of one, `last`, `last:EXPERIMENT`, a
    model folder, or the URL of one.

    `store`: as `--store`, opened for a run alone; `which`: best, last or a step of a run, None for
    the best; `device`: None for a GPU where there is one. Raises ConfigError, DataError,
    StoreError.
    """
    if names_a_folder(reference):
        if which is not None:
            raise ConfigError(
                f"{reference}: a model folder holds one checkpoint: leave {which} out"
            )
        return of_folder(ModelFolder.open(reference), modules, _placed(device, {}))
    session = Session(open_store(store, needed=True), tuple(modules))
    run = session.store.find(str(reference))
    return of_run(session, run, which, _placed(device, run.config()["training"]))


def _placed(device: str | torch.device | None, training: Mapping[str, Any]) -> torch.device:
    """`device`, else a GPU where there is one, but for a run that was told to train on the CPU."""
    if device in (None, "auto"):
        return choose_device("cpu" if training.get("device") == "cpu" else "auto")[0]
    return torch.device(device or "cpu")


def of_run(session: Session, run: Run, which: str | None, device: torch.device) -> Trained:
    """The model of a run's checkpoint `which`. No data are opened, but for a run older than
    built_from.json. Raises ConfigError, DataError, StoreError."""
    return assemble(parts_of_run(session, run, which), device)


def of_folder(folder: ModelFolder, modules: Sequence[str], device: torch.device) -> Trained:
    """Raises ConfigError for a task that is not allowed, StoreError for a damaged folder."""
    about = folder.about
    kind = kind_of(about["task"], modules, str(folder))
    parents = {
        key: folder.read(parent_file(key)) for key in kind.needs if about["settings"].get(key)
    }
    written = str(about["versions"].get("famulus", "an unknown version"))
    parts = Parts(
        kind,
        about["settings"],
        about["built_from"],
        folder.read(WEIGHTS),
        parents,
        str(folder),
    )
    try:
        with bounded(len(parts.weights), str(folder)):
            return assemble(parts, device, folder, "" if written == __version__ else written)
    except (ConfigError, DataError) as error:  # of settings that nobody here wrote
        raise StoreError(f"{folder}: {error}") from error
    # its JSON is anybody's: a list where a number is expected may stumble anywhere
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise StoreError(f"{folder}: can't build its network from model.json: {reason}") from error


def parts_of_run(session: Session, run: Run, which: str | None) -> Parts:
    """As `of_run`. A run older than built_from.json gets that file while its data are there."""
    config, basis = run.config(), run.built_from()
    is_whole(config, run)
    if basis is None:
        basis = basis_of(again(session, run))
        run.write_built_from(basis)
    kind = tasks.load(config["task"], session.modules)
    references = {key: reference for key in kind.needs if (reference := config.get(key))}
    parents = {key: _weights(session, reference) for key, reference in references.items()}
    step, notes = chosen(run, which)
    opened = run.open_checkpoint(step)
    weights = opened.read(opened.weights)
    return Parts(kind, config, basis, weights, parents, f"{run.id}, step {step}", notes, step)


def chosen(run: Run, which: str | None) -> tuple[int, tuple[str, ...]]:
    """Step of the checkpoint `which` (None: best), and a sentence where the newest stands in."""
    steps = run.checkpoints()
    tagged = any("best" in run.manifest(step).get("tags", ()) for step in steps)
    if which in (None, "best") and steps and not tagged:
        said = f"run {run.id} kept no best checkpoint (training.keep): its newest is taken"
        return steps[-1], (f"{said}, step {steps[-1]:,}",)
    return run.step_of(which or "best"), ()


def assemble(
    parts: Parts, device: torch.device, folder: ModelFolder | None = None, version: str = ""
) -> Trained:
    """`version`: of the Famulus that wrote it, where it is another. Raises ConfigError,
    StoreError."""
    settings, unknown = settings_of(parts.kind.Config, parts.config, parts.name)
    notes = parts.notes
    if unknown:
        by = f", written by famulus {version}" if version else ""
        notes += (f"{parts.name}{by}: settings without effect here: {', '.join(unknown)}",)
    task = parts.kind(
        settings,
        {
            key: Parent(
                stored["run"],
                stored["config"],
                pack.unpacked(parts.parents[key], parts.name) if key in parts.parents else {},
                stored.get("built_from"),
            )
            for key, stored in (parts.built_from.get(PARENTS) or {}).items()
        },
    )
    task.stored = parts.built_from
    module = task.build().to(device)
    pack.load_model(module, parts.weights, parts.name)
    return Trained(task, module.eval(), parts.config, parts.built_from, parts.name, notes, folder)


def name_of(kind: type[Task], name: str) -> str:
    """As model.json names a task: a person's own by its module and class."""
    return name if name in tasks.names() else f"{kind.__module__}:{kind.__name__}"


def kind_of(name: str, allowed: Sequence[str], where: str) -> type[Task]:
    """What `name_of` named. Raises ConfigError for a person's own that is not allowed."""
    module, colon, _ = name.partition(":")
    if not colon:
        return tasks.load(name, allowed)
    if module not in allowed:  # a folder alone never causes an import
        raise ConfigError(
            f"{where}: its task is code of a person's own, {name[:200]!r}: if you trust it, add"
            f" --allow-module {module[:200]}"
        )
    return tasks.load(tasks.name_of(module), [module])


def settings_of(
    schema: type[Strict], config: Mapping[str, Any], where: str
) -> tuple[Strict, list[str]]:
    """The sections of a filled config that a task takes, and the settings that this version of
    Famulus does not know. Raises StoreError for a value that it does not accept."""
    own = [key for key in SECTIONS if key in schema.model_fields]
    sections = {key: config[key] for key in own if key in config}
    unknown: list[str] = []
    while True:
        try:
            return schema.model_validate(sections), unknown
        except ValidationError as error:
            extra = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
            removed = [path for loc in extra if (path := _without(sections, loc))]
            if not removed:
                first = error.errors()[0]
                path = ".".join(map(str, first["loc"]))
                raise StoreError(f"{where}: settings: {path}: {first['msg']}") from None
            unknown += removed


def _without(sections: dict[str, Any], loc: Sequence[str | int]) -> str:
    """Takes the setting at `loc` out of copies along its way; its dotted path, '' if none."""
    inside: Any = sections
    path = []
    for key in loc[:-1]:
        if isinstance(inside, dict) and key in inside:
            inside[key] = (
                inside[key].copy() if isinstance(inside[key], dict | list) else inside[key]
            )
        elif not (isinstance(inside, list) and isinstance(key, int)):
            continue  # the name of one of several models that fit
        inside = inside[key]
        path.append(str(key))
    if not isinstance(inside, dict) or loc[-1] not in inside:
        return ""
    del inside[loc[-1]]
    return ".".join([*path, str(loc[-1])])


def _weights(session: Session, reference: Mapping[str, Any]) -> bytes:
    """Of what an earlier run was resolved to: see `launch.plan`."""
    if "folder" in reference:
        return Imported(reference["folder"], reference["sha256"]).open().read(WEIGHTS)
    parent = session.store.find(reference["run"]).open_checkpoint(int(reference["step"]))
    return parent.read(parent.weights)
