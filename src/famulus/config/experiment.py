"""From a file to a plan: read, override, expand, substitute, check, fill in.

file ─ yaml ─▶ document ─ overrides ─▶ matrix ─▶ cells ─ substitute ─▶ schemas ─▶ filled configs
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from famulus.config import identity, names, overrides
from famulus.config.errors import ConfigError, SettingError
from famulus.config.expectations import check
from famulus.config.matrix import MAX_CELLS, expand, narrowed_to, slugs, substitute
from famulus.config.nearest import suggestion
from famulus.config.overrides import responsible
from famulus.config.problems import explain
from famulus.config.schema import Cost, Expect, Experiment, Strict, Training
from famulus.config.scores import Scores, directed
from famulus.config.yaml import MAX_BYTES, Document, load

SECTIONS = identity.SECTIONS


class TaskSchema(Protocol):
    """What a file is checked against: a `Task` class has both."""

    @property
    def Config(self) -> type[Strict]: ...

    @property
    def SCORES(self) -> Scores: ...


FindTask = Callable[[str], TaskSchema]
Judge = Callable[["Settings"], None]
IN_CELL = " (in cell "


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


def read(
    source: str | Path,
    overrides: Iterable[str] = (),
    task: FindTask | None = None,
    name: str | None = None,
    judge: Judge | None = None,
) -> Plan:
    """The plan of a file, or of a text (a `str` with a line break).

    `task` gives the task class of a name, or raises ConfigError with the names it knows. `judge`
    raises SettingError for settings of a cell that only others understand.
    Raises ConfigError, one line: `file:line:column: dotted.path: problem`.
    """
    written, shown = _open(source)
    title = name or (names.name_of(Path(source)) if shown != "text" else "experiment")
    document = load(written, shown)
    given = list(overrides)
    try:
        return _ExperimentReader(document, given, task, judge).plan(title, written)
    except SettingError as error:

        def fault_of(some: Sequence[str]) -> str:
            try:
                _ExperimentReader(document, list(some), task, judge).plan(title, written)
            except ConfigError as other:
                return _fault(other)
            return ""

        to_blame = responsible(given, _fault(error), fault_of)
        if to_blame:
            where = ", ".join(f"--set {one}" for one in to_blame)
        else:
            key = error.problem.startswith(("unknown key", "no such axis"))
            where = document.where(error.path, key)
        raise ConfigError(f"{where}: {error}", cause=error.cause) from None


def _fault(error: ConfigError) -> str:
    """What is wrong, in whichever cell: their names change with overrides that do no harm."""
    return str(error).partition(IN_CELL)[0]


def _open(source: str | Path) -> tuple[str, str]:
    if isinstance(source, str) and "\n" in source:
        return source, "text"
    path = Path(source)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError(f"{path}: expected a file, received a FIFO or device")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_BYTES:,} bytes")
        return path.read_text(encoding="utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, byte {error.start} is not") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{path}: can't read the experiment: {reason}") from None


class _ExperimentReader:
    """One document on its way to a plan."""

    def __init__(
        self,
        document: Document,
        given: list[str],
        find_task: FindTask | None,
        judge: Judge | None = None,
    ) -> None:
        self.document = document
        self.given = given
        self.judge = judge
        if not isinstance(document.value, dict):
            raise ConfigError(f"{document.where(())}: expected an experiment: why, task, training")
        self.raw, self.overridden = overrides.apply(document.value, given)
        self.find_task = find_task
        self.schema: TaskSchema | None = None
        # a matrix of thousands of cells has few different sections
        self.models: dict[tuple[type, str], Any] = {}
        self.texts: dict[tuple[type, str], tuple[str, str]] = {}

    def plan(self, name: str, written: str) -> Plan:
        title = names.own_name(self.raw) or name
        # before all else: a name that can't be costs no data and no nets
        if wrong := names.problem(title):
            advice = "say name: in the file" if title == name else "choose another name"
            raise SettingError(("name",), f"{wrong}; {advice}")
        config, parents = self.task()
        axes, bases, replicates = self.cells()
        labels = slugs(axes)
        made: list[Cell] = []
        seen: dict[str, str] = {}
        for i, (cell, slug) in enumerate(zip(axes, labels, strict=True)):
            base, replicate = bases[i // replicates], i % replicates
            try:
                one, essence = self.cell(base, cell, slug, replicate, config, parents)
            except SettingError as error:
                if self.depends_on_cell(error.path):
                    problem = f"{error.problem}{IN_CELL}{slug})"
                    raise SettingError(error.path, problem, error.cause) from None
                raise
            # both would have one id, and the second would be taken for the first, done
            if essence in seen:
                problem = (
                    f"cells {seen[essence]} and {slug} have the same settings: use their "
                    "difference as ${matrix.NAME}, or drop it"
                )
                raise SettingError(("matrix",), problem)
            seen[essence] = slug
            made.append(one)
        first = made[0].settings.experiment
        # an override that narrows the matrix may take away a cell of the promise
        narrowed = any(path[0] == "matrix" for path in self.overridden)
        check(first.expect, axes, narrowed)
        return Plan(
            title, written, first.why, made, self.document, first.expect, first.cost, self.given
        )

    def task(self) -> tuple[type[Strict] | None, tuple[str, ...]]:
        """The task's Config and the names of its first stages."""
        task = self.raw.get("task")
        if not isinstance(task, str) or self.find_task is None:
            return None, ()
        try:
            self.schema = self.find_task(task)
        except SettingError:
            raise
        except ConfigError as error:
            raise SettingError(("task",), str(error).removeprefix("task: ")) from None
        config = self.schema.Config
        parents = config.parents
        known = [*Experiment.model_fields, *parents]
        for key in self.raw:
            if key not in known:
                problem = f"unknown key, {suggestion(key, known)}"
                raise SettingError((key,), problem, "unknown-setting")
        return config, parents

    def cells(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
        """Matrix values with replicates, without them, and the number of replicates."""
        set_axes = [str(path[1]) for path in self.overridden if path[0] == "matrix" and path[1:]]
        bases = expand(narrowed_to(self.raw.get("matrix"), set_axes))
        count = self.raw.get("replicates", 1)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            count = 1  # the schema will name the problem
        # before they are made: a typing error must not fill memory
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
        config: type[Strict] | None,
        parents: tuple[str, ...],
    ) -> tuple[Cell, str]:
        """The cell, and the text that tells whether another one computes the same."""
        once = ("name", "replicates", "expect", "cost")  # of the experiment, not of a cell
        fixed = {key: self.raw[key] for key in once if key in self.raw}
        varying = {k: v for k, v in self.raw.items() if k not in fixed and k != "matrix"}
        given = substitute(varying, base, slug)
        training = given.get("training")
        if replicate and isinstance(training, dict):
            seed = training.get("seed", 0)
            if isinstance(seed, int):
                # consecutive seeds, so that the first replicate is the run without replicates
                given["training"] = {**training, "seed": seed + replicate}
        stages = {key: _stage(key, given.pop(key, None)) for key in parents}
        experiment = self.validate(Experiment, {**given, **fixed, "matrix": axes})
        if self.schema:
            training = directed(experiment.training, self.schema.SCORES)
            experiment = experiment.model_copy(update={"training": training})
        trained, essence = self.written(experiment.training, given["training"])
        task = {key: given.get(key) or {} for key in SECTIONS}
        if config is None:
            task_config, plain, own = None, task, json.dumps(task)
        else:
            # an empty section that the task does not have is no mistake
            asked = {k: v for k, v in task.items() if k in config.model_fields or v}
            task_config = self.validate(config, asked)
            filled, own = self.written(task_config, asked)
            plain = {**task, **json.loads(filled)}
        whole = experiment.model_dump(mode="json", by_alias=True, include={"expect", "cost"})
        written = {
            "why": experiment.why,
            "task": experiment.task,
            "matrix": axes,
            **stages,
            **{key: plain[key] for key in SECTIONS},
            "training": json.loads(trained),
            "start_from": experiment.start_from,
            "expect": whole["expect"],
            # of the cell: it is one run
            "replicates": 1,
            "cost": whole["cost"],
        }
        settings = Settings(experiment, task_config, stages)
        if self.judge:
            self.judge(settings)
        computed = "\n".join([own, essence, json.dumps(stages), str(experiment.start_from)])
        return Cell(slug, axes, written, settings), computed

    def validate(self, model: type[BaseModel], data: dict[str, Any]) -> Any:
        """The model of a section; equal sections are checked once."""
        key = model, json.dumps(data)
        if key not in self.models:
            try:
                # through JSON, where lists are welcome as tuples but "64" is no number
                self.models[key] = model.model_validate_json(key[1], strict=True)
            except ValidationError as error:
                raise explain(error, model, data) from None
        return self.models[key]

    def written(self, section: BaseModel, data: dict[str, Any]) -> tuple[str, str]:
        """A checked section filled in, as JSON, and the part of it that is its identity."""
        key = type(section), json.dumps(data)
        if key not in self.texts:
            filled = section.model_dump_json(by_alias=True)
            self.texts[key] = filled, identity.canonical(identity.essence(section))
        return self.texts[key]

    def depends_on_cell(self, path: tuple[str | int, ...]) -> bool:
        """Whether a `${...}` stands in the value at `path`, so that the cell matters."""
        value: Any = self.raw
        for part in path:
            here = dict(enumerate(value)) if isinstance(value, list) else value
            if not isinstance(here, dict) or part not in here:
                break
            value = here[part]
        # Nothing is substituted inside a matrix, so its mistakes are of no cell.
        return path[:1] != ("matrix",) and "${" in json.dumps(value)


def _stage(key: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value and not any(map(str.isspace, value))):
        return value
    raise SettingError((key,), f"expected RUN, RUN@best or last:EXPERIMENT, received {value!r}")
