"""From a file to a plan: read, override, expand, substitute, check, fill in.

file ─ yaml ─▶ document ─ overrides ─▶ matrix ─▶ cells ─ substitute ─▶ schemas ─▶ filled configs
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from famulus.config import identity, overrides
from famulus.config.errors import ConfigError, SettingError
from famulus.config.matrix import MAX_CELLS, expand, same, slugs, substitute, text
from famulus.config.nearest import suggestion
from famulus.config.problems import explain
from famulus.config.schema import Cost, Expect, Experiment, OrderExpect, Strict, Training
from famulus.config.yaml import MAX_BYTES, Document, load

SECTIONS = identity.SECTIONS
TaskConfig = Callable[[str], type[Strict]]


@dataclass(frozen=True)
class Settings:
    """A cell's validated settings."""

    experiment: Experiment
    task_config: Any  # the task's Config, with data, model and loss
    parents: dict[str, str | None]  # first stages, as `{codes: last:codes/tiles-colour}`

    @property
    def task(self) -> str:
        return self.experiment.task

    @property
    def training(self) -> Training:
        return self.experiment.training

    @property
    def start_from(self) -> str | None:
        return self.experiment.start_from

    @property
    def data(self) -> Any:
        return getattr(self.task_config, "data", None)

    @property
    def model(self) -> Any:
        return getattr(self.task_config, "model", None)

    @property
    def loss(self) -> Any:
        return getattr(self.task_config, "loss", None)


@dataclass(frozen=True)
class Cell:
    """One run to be: its name, its matrix values, its filled config and its checked settings."""

    slug: str
    axes: dict[str, Any]  # with `replicate`, from 1, if there is more than one
    config: dict[str, Any]
    settings: Settings


@dataclass(frozen=True)
class Plan:
    """An experiment file, understood."""

    name: str
    text: str
    why: str
    cells: list[Cell]
    document: Document
    expect: tuple[Expect, ...]
    cost: Cost | None
    overrides: list[str] = field(default_factory=list)

    @property
    def task(self) -> str:
        return self.cells[0].settings.task


def name_of(path: Path) -> str:
    """The path below the last `experiments/` folder, without suffix; else the file's stem."""
    parts = path.absolute().with_suffix("").parts
    below = [i for i, part in enumerate(parts[:-1]) if part == "experiments"]
    return "/".join(parts[below[-1] + 1 :]) if below else path.stem


def read(
    source: str | Path,
    overrides: Iterable[str] = (),
    task_config: TaskConfig | None = None,
    name: str | None = None,
) -> Plan:
    """The plan of a file, or of a text (a `str` with a line break).

    `task_config` gives the Config of a task's name, or raises ConfigError with the names it knows.
    Raises ConfigError, one line: `file:line:column: dotted.path: problem`.
    """
    written, shown = _open(source)
    title = name or (name_of(Path(source)) if shown != "text" else "experiment")
    document = load(written, shown)
    return _Reader(document, list(overrides), task_config).plan(title, written)


def _open(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and "\n" in source:
        return source, "text"
    path = Path(source)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_BYTES:,} bytes")
        return path.read_text(encoding="utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, byte {error.start} is not") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{path}: can't read the experiment: {reason}") from None


class _Reader:
    """One document on its way to a plan."""

    def __init__(
        self, document: Document, given: list[str], task_config: TaskConfig | None
    ) -> None:
        self.document = document
        self.given = given
        if not isinstance(document.value, dict):
            raise ConfigError(f"{document.where(())}: expected an experiment: why, task, training")
        self.raw, self.overridden = overrides.apply(document.value, given)
        self.task_config = task_config
        self.checked: dict[tuple[type, str], tuple[Any, str, str]] = {}

    def located(self, error: SettingError, cell: str = "") -> ConfigError:
        """The error with the place that a person must change."""
        source = next(
            (o for p, o in self.overridden.items() if error.path[: len(p)] == p[: len(error.path)]),
            None,
        )
        if source is not None:
            return ConfigError(f"--set {source}: {error}{cell}")
        key = error.problem.startswith(("unknown key", "no such axis"))
        return ConfigError(f"{self.document.where(error.path, key)}: {error}{cell}")

    def plan(self, name: str, written: str) -> Plan:
        try:
            config, parents = self.task()
            axes, bases, replicates = self.cells()
        except SettingError as error:
            raise self.located(error) from None
        names = slugs(axes)
        made: list[Cell] = []
        seen: dict[str, str] = {}
        for i, (cell, slug) in enumerate(zip(axes, names, strict=True)):
            base, replicate = bases[i // replicates], i % replicates
            try:
                one, essence = self.cell(base, cell, slug, replicate, config, parents)
            except SettingError as error:
                where = f" (in cell {slug})" if self.depends_on_cell(error.path) else ""
                raise self.located(error, where) from None
            if essence in seen:
                problem = (
                    f"cells {seen[essence]} and {slug} have the same settings: use their "
                    "difference as ${matrix.NAME}, or drop it"
                )
                raise self.located(SettingError(("matrix",), problem))
            seen[essence] = slug
            made.append(one)
        first = made[0].settings.experiment
        try:
            self.check_expect(first, axes)
        except SettingError as error:
            raise self.located(error) from None
        return Plan(
            name, written, first.why, made, self.document, first.expect, first.cost, self.given
        )

    def task(self) -> tuple[type[BaseModel] | None, tuple[str, ...]]:
        """The task's Config and the names of its first stages."""
        task = self.raw.get("task")
        if not isinstance(task, str) or self.task_config is None:
            return None, ()
        try:
            config = self.task_config(task)
        except SettingError:
            raise
        except ConfigError as error:
            raise SettingError(("task",), str(error)) from None
        parents = tuple(getattr(config, "parents", ()))
        known = [*Experiment.model_fields, *parents]
        for key in self.raw:
            if key not in known:
                raise SettingError((key,), f"unknown key, {suggestion(key, known)}")
        return config, parents

    def cells(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
        """Matrix values with replicates, without them, and the number of replicates."""
        bases = expand(self.raw.get("matrix"))
        count = self.raw.get("replicates", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            count = 1  # the schema will name the problem
        if len(bases) * count > MAX_CELLS:
            problem = f"expected at most {MAX_CELLS:,} cells, received {len(bases) * count:,}"
            raise SettingError(("replicates",), problem)
        if count == 1:
            return bases, bases, 1
        return [{**c, "replicate": r + 1} for c in bases for r in range(count)], bases, count

    def cell(
        self,
        base: dict[str, Any],
        axes: dict[str, Any],
        slug: str,
        replicate: int,
        config: type[BaseModel] | None,
        parents: tuple[str, ...],
    ) -> tuple[Cell, str]:
        """The cell, and the text that tells whether another one computes the same."""
        fixed = {key: self.raw[key] for key in ("matrix", "expect", "cost") if key in self.raw}
        varying = {key: value for key, value in self.raw.items() if key not in fixed}
        given = substitute(varying, base, slug)
        training = given.get("training")
        if replicate and isinstance(training, dict):
            seed = training.get("seed", 0)
            if isinstance(seed, int):
                given["training"] = {**training, "seed": seed + replicate}
        stages = {key: _stage(key, given.pop(key, None)) for key in parents}
        training_text, training_essence = self.check(Training, given.get("training"), "training")
        experiment, _, _ = self.validate(Experiment, {**given, **fixed})
        task = {key: given.get(key) or {} for key in SECTIONS}
        if config is None:
            task_config, filled, essence = None, json.dumps(task), json.dumps(task)
        else:
            own = {k: v for k, v in task.items() if k in config.model_fields or v}
            task_config, filled, essence = self.validate(config, own)
        plain = {**task, **json.loads(filled)}
        whole = experiment.model_dump(mode="json", by_alias=True, include={"expect", "cost"})
        written = {
            "why": experiment.why,
            "task": experiment.task,
            "matrix": axes,
            **stages,
            **{key: plain[key] for key in SECTIONS},
            "training": json.loads(training_text),
            "start_from": experiment.start_from,
            "expect": whole["expect"],
            "replicates": 1,
            "cost": whole["cost"],
        }
        computed = "\n".join(
            [essence, training_essence, json.dumps(stages), str(experiment.start_from)]
        )
        return Cell(slug, axes, written, Settings(experiment, task_config, stages)), computed

    def check(self, model: type[BaseModel], data: Any, section: str) -> tuple[str, str]:
        """A section's filled and essential text; nothing for what the whole will complain of."""
        if not isinstance(data, dict):
            return "{}", "{}"
        try:
            _, filled, essence = self.validate(model, data)
        except SettingError as error:
            raise SettingError((section, *error.path), error.problem) from None
        return filled, essence

    def validate(self, model: type[BaseModel], data: dict[str, Any]) -> tuple[Any, str, str]:
        """The model, filled and essential text; equal sections are checked once."""
        written = json.dumps(data)
        if (model, written) not in self.checked:
            try:
                # through JSON, where lists are welcome as tuples but "64" is no number
                made = model.model_validate_json(written, strict=True)
            except ValidationError as error:
                raise explain(error, model, data) from None
            filled = made.model_dump_json(by_alias=True)
            essence = identity.canonical(identity.essence(made))
            self.checked[model, written] = made, filled, essence
        return self.checked[model, written]

    def depends_on_cell(self, path: tuple[str | int, ...]) -> bool:
        """Whether a `${...}` stands in the value at `path`, so that the cell matters."""
        value: Any = self.raw
        for part in path:
            if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
                value = value[part]
            else:
                break
        return path[:1] != ("matrix",) and "${" in json.dumps(value)

    def check_expect(self, experiment: Experiment, axes: list[dict[str, Any]]) -> None:
        """Every axis and value that a promise names exists."""
        values: dict[str, list[Any]] = {}
        for cell in axes:
            for name, value in cell.items():
                values.setdefault(name, []).append(value)
        narrowed = any(path[0] == "matrix" for path in self.overridden)  # a value may be gone
        for i, promise in enumerate(experiment.expect):
            for name, wanted in promise.where.items():
                path = ("expect", i, "where", name)
                if name not in values:
                    raise SettingError(path, f"no such axis, {suggestion(name, values)}")
                if not narrowed and not any(same(wanted, value) for value in values[name]):
                    known = {text(value) for value in values[name]}
                    problem = f"no cell has {text(wanted)}, {suggestion(text(wanted), known)}"
                    raise SettingError(path, problem)
            if isinstance(promise, OrderExpect):
                if promise.by not in values:
                    path = ("expect", i, "by")
                    raise SettingError(path, f"no such axis, {suggestion(promise.by, values)}")
                known = {text(value) for value in values[promise.by]}
                for value in promise.ascending:
                    if not narrowed and value not in known:
                        problem = f"no cell has {value}, {suggestion(value, known)}"
                        raise SettingError(("expect", i, "says"), problem)


def _stage(key: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value and not any(map(str.isspace, value))):
        return value
    raise SettingError((key,), f"expected RUN, RUN@best or last:EXPERIMENT, received {value!r}")
