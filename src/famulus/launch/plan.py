"""From a checked experiment file to cells that are ready to run: references and identities.

`RUN@best` and the like become an id and a checkpoint's hash here, once, before anything is run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as unpack

from famulus import tasks
from famulus.config.errors import ConfigError, DataError, StoreError
from famulus.config.experiment import Plan
from famulus.config.identity import OUTSIDE, SECTIONS, run_id
from famulus.config.refill import refill
from famulus.config.schema import Training
from famulus.feed.source import Splits
from famulus.launch.session import Session
from famulus.launch.stages import first_stage
from famulus.store import lineage
from famulus.store.checkpoint import Checkpoint, judged
from famulus.store.model_folder import WEIGHTS, ModelFolder, names_a_folder
from famulus.store.run import Run
from famulus.store.secrets import hidden_path
from famulus.store.store import Store
from famulus.tasks.base import Parent, Task
from famulus.training.optim import check_options
from famulus.training.precision import Precision
from famulus.training.setup import PLAIN, Setup

STATEFUL = ("amsgrad", "centered")  # options of an optimizer with tensors of their own
PARENTS = "parents"  # of built_from.json: what a net took from earlier runs
ORIGIN = "origin"  # key of a filled config: the run and step that a child goes on from


@dataclass(frozen=True)
class Start:
    """A checkpoint that a run starts from. `kind`: resume, extend, rerun or warm_start."""

    run: Run
    step: int
    kind: str

    def open(self) -> Checkpoint:
        return self.run.open_checkpoint(self.step)

    def record(self) -> dict[str, Any]:
        return lineage.parent_record(self.run, self.step, self.kind)

    def parent(self) -> Parent:
        opened = self.open()
        weights = unpack(opened.read(opened.weights))
        return Parent(self.run.id, self.run.config(), weights, self.run.built_from())


@dataclass(frozen=True)
class Imported:
    """A model folder whose weights a run takes; `sha256` of them."""

    place: str
    sha256: str

    def open(self) -> ModelFolder:
        """Raises StoreError if it is gone or holds other weights by now."""
        folder = ModelFolder.open(self.place)
        if folder.digest != self.sha256:
            raise StoreError(
                f"{folder}: expected weights of sha256 {self.sha256[:16]}, received"
                f" {folder.digest[:16]}: it is another model by now"
            )
        return folder

    def record(self) -> dict[str, Any]:
        return {"kind": "warm_start", "folder": self.place, "sha256": {WEIGHTS: self.sha256}}

    def parent(self) -> Parent:
        """Raises StoreError as `open` does."""
        folder = self.open()
        about = folder.about
        name, weights = str(about["lineage"].get("run") or folder), folder.read(WEIGHTS)
        return Parent(name, about["settings"], unpack(weights), about["built_from"])


@dataclass(frozen=True)
class Ready:
    """A cell that can be run: everything named is resolved, its identity is known."""

    experiment: str
    slug: str
    id: str
    config: Mapping[str, Any]  # filled and resolved
    training: Training
    task: Task
    data: Splits
    origin: Start | None = None  # full state to go on from
    warm: Start | Imported | None = None  # weights only
    overrides: Sequence[str] = ()
    axes: Mapping[str, Any] = field(default_factory=dict)

    def setup(self, device: torch.device, precision: Precision = PLAIN) -> Setup:
        return Setup(self.task, self.data, self.training, device, precision)


def prepare(session: Session, plan: Plan) -> list[Ready]:
    """Every cell with its task, data and id. Raises ConfigError, DataError, StoreError."""
    return [
        make_ready(session, plan.name, cell.slug, cell.config, axes=cell.axes)
        for cell in plan.cells
    ]


def make_ready(
    session: Session,
    experiment: str,
    slug: str,
    config: Mapping[str, Any],
    *,
    origin: Start | None = None,
    overrides: Sequence[str] = (),
    axes: Mapping[str, Any] | None = None,
    itself: Run | None = None,
) -> Ready:
    """One cell from its filled config, as written by a person or as stored by a run, `itself`."""
    store, filled = session.store, dict(config)
    kind = tasks.load(filled["task"], session.modules)
    warm: Start | Imported | None = None
    if filled.get("start_from"):
        warm, filled["start_from"] = _resolve(store, filled["start_from"], "start_from")
    parents = {}
    for key in kind.Config.parents:
        if not filled.get(key):
            if key in kind.Config.optional_parents:
                continue
            raise ConfigError(
                f"{key}: task {filled['task']} needs a run here, as RUN@best, or a model folder"
            )
        asked = filled[key]
        if isinstance(asked, str) and not names_a_folder(asked):
            asked = first_stage(store, key, asked)
        source, filled[key] = _resolve(store, asked, key)
        parents[key] = source.parent()
    if origin is not None:
        filled[ORIGIN] = {"run": origin.run.id, "step": origin.step, "kind": origin.kind}
    elif stored := _goes_on_from(filled):
        origin = _start_of(store, stored, itself)
    own = [key for key in ("data", "model", "loss") if key in kind.Config.model_fields]
    sections = {key: filled[key] for key in own if key in filled}
    training = Training.model_validate(filled["training"])
    check_options(training.optimizer)
    task = kind(kind.Config.model_validate(sections), parents)
    data = task.data()
    if not isinstance(data, Splits):
        raise ConfigError(
            f"task {filled['task']}: expected data() to give famulus.api.Splits, received a"
            f" {type(data).__name__}"
        )
    return Ready(
        experiment,
        slug,
        run_id(filled, kind.Config, data.fingerprint),
        filled,
        training,
        task,
        data,
        origin=origin,
        warm=warm,
        overrides=overrides,
        axes=axes or {},
    )


def basis_of(cell: Ready) -> dict[str, Any]:
    """As built_from.json holds it: the task's own facts, and settings of the runs it stands on."""
    parents = {
        key: {"run": parent.run, "config": parent.config, "built_from": parent.built_from}
        for key, parent in cell.task.parents.items()
    }
    return {**cell.task.built_from(cell.data), **({PARENTS: parents} if parents else {})}


def _resolve(store: Store, value: Any, where: str) -> tuple[Start | Imported, dict[str, Any]]:
    """A reference `RUN@best`, `last:EXPERIMENT`, a model folder, or what an earlier resolution
    stored."""
    if isinstance(value, str) and names_a_folder(value):
        # its whole path: the run may be resumed from elsewhere
        place = value if "://" in value else str(Path(value).expanduser().absolute())
        value = {"folder": place, "sha256": ModelFolder.open(place).digest}
    if isinstance(value, Mapping) and "folder" in value:
        return Imported(value["folder"], value["sha256"]), dict(value)
    if isinstance(value, Mapping):
        run, which = store.find(value["run"]), str(value["step"])
        if int(which) not in run.checkpoints():  # removed since: only a fresh start would need it
            return Start(run, int(which), "warm_start"), dict(value)
    else:
        ref, _, which = str(value).partition("@")
        run = store.find(ref)
    try:
        step = run.step_of(which or "best")
    except Exception as error:
        raise ConfigError(f"{where}: {error}") from error
    # By their hash the weights are part of the identity: a run from others is another run.
    files = run.manifest(step)["files"]
    digest = files[judged(files)]["sha256"]
    if isinstance(value, Mapping) and value.get("sha256") not in (None, digest):
        raise ConfigError(
            f"{where}: checkpoint {step} of run {run.id} has other weights than were recorded"
        )
    return Start(run, step, "warm_start"), {"run": run.id, "step": step, "sha256": digest}


def child(session: Session, parent: Run, step: int, overrides: Sequence[str], kind: str) -> Ready:
    """The run that goes on from `parent` at `step` with changed settings; one curve with it."""
    before = parent.config()
    config = refill(before, overrides, tasks.load(before["task"], session.modules))
    is_whole(config, parent)
    _keeps_its_state(before["training"]["optimizer"], config["training"]["optimizer"], parent, step)
    source = Start(parent, step, kind)
    return make_ready(
        session, parent.experiment, parent.slug, config, origin=source, overrides=overrides
    )


def is_whole(config: Mapping[str, Any], run: Run) -> None:
    """Raises ConfigError where a setting was a secret, which is not stored."""
    settings = {k: v for k, v in config.items() if k not in OUTSIDE or k in (*SECTIONS, "training")}
    if where := hidden_path(settings):
        raise ConfigError(
            f"run {run.id}: {where} held a secret, which is not stored: go on with famulus run and"
            f" the file that has it, or start a fork with famulus resume {run.id} --set {where}=..."
        )


def _start_of(store: Store, stored: Mapping[str, Any], itself: Run | None) -> Start | None:
    """Where a child begins; None where its parent is gone and it has a checkpoint of its own."""
    try:
        return Start(store.find(stored["run"]), stored["step"], stored["kind"])
    except StoreError as error:
        if itself is not None and (itself.checkpoints() or itself.done()):
            return None
        raise StoreError(
            f"run {stored['run']} is gone, from whose step {stored['step']} this one begins: train"
            " its experiment again, which gives it the same id"
        ) from error


def _keeps_its_state(
    before: Mapping[str, Any], after: Mapping[str, Any], parent: Run, step: int
) -> None:
    """Raises ConfigError for another optimizer, which can't go on from this one's state."""
    names = {str(side["name"]).lower() for side in (before, after)}
    # RMSprop makes its momentum's buffer at the first step only; SGD makes one that is missing.
    options = [*STATEFUL, *(["momentum"] if "rmsprop" in names else [])]
    changed = [key for key in options if bool(before.get(key)) != bool(after.get(key))]
    for key in (["name"] if len(names) > 1 else []) + changed:
        old, new = (side.get(key, "none") for side in (before, after))
        raise ConfigError(
            f"training.optimizer.{key}: expected {old}, whose state run {parent.id} goes on with,"
            f" received {new}; to begin from its weights alone, set start_from: {parent.id}@{step}"
            " in a file"
        )


def again(session: Session, run: Run) -> Ready:
    """A stored run, ready to go on. Raises DataError if its data are not those it began with."""
    config = run.config()
    is_whole(config, run)
    cell = make_ready(session, run.experiment, run.slug, config, itself=run)
    if cell.id != run.id:
        recorded = run.lineage().get("data")
        changed = recorded not in (None, cell.data.fingerprint)
        what = (
            f"its data have changed (recorded {recorded}, found {cell.data.fingerprint})"
            if changed
            else "this version of Famulus reads its settings differently"
        )
        raise DataError(
            f"run {run.id} can't go on: {what}; start anew with famulus run, or from its weights"
            f" with start_from: {run.id}@last"
        )
    return cell


def repetition(session: Session, run: Run) -> Ready:
    """The same settings, from where the run itself began, as a run of its own."""
    config = run.config()
    is_whole(config, run)
    earlier = sum(1 for r in session.store.runs(run.experiment) if _repeats(r, run.id))
    # Numbered: a second repetition needs an id of its own.
    origin: dict[str, Any] = {"run": run.id, "step": None, "kind": "rerun", "n": earlier + 1}
    if began := _goes_on_from(config):
        origin["from"] = dict(began)
    return make_ready(session, run.experiment, run.slug, {**config, ORIGIN: origin})


def _goes_on_from(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Where a child began, {"run", "step", "kind"}; a repetition began where the repeated did."""
    origin = config.get(ORIGIN) or {}
    origin = origin.get("from") or origin
    return origin if origin.get("step") is not None else None


def _repeats(run: Run, repeated: str) -> bool:
    origin = run.config().get(ORIGIN) or {}
    return origin.get("kind") == "rerun" and origin.get("run") == repeated
