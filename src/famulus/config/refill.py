"""A stored run's filled config with some settings changed, checked like a file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from famulus.config import overrides
from famulus.config.errors import ConfigError, SettingError
from famulus.config.experiment import TaskSchema
from famulus.config.identity import SECTIONS
from famulus.config.nearest import suggestion
from famulus.config.problems import explain
from famulus.config.schema import Training
from famulus.config.scores import Scores, directed, find

Section = TypeVar("Section", bound=BaseModel)


def refill(config: Mapping[str, Any], given: Iterable[str], task: TaskSchema) -> dict[str, Any]:
    """`config` with each `a.b=v` of `given` applied, checked against the task's schema.

    A stored direction was filled in from a score; another score brings its own.

    Raises ConfigError, one line, for a key that is unknown or a value that does not fit.
    """
    given = list(given)
    for one in given:
        first = one.partition("=")[0].strip().split(".")[0]
        # the schema is of sections: a key beside them would be let through
        if first not in config:
            problem = f"unknown key {first}, {suggestion(first, config)}"
            raise ConfigError(f"--set {one}: {problem}", cause="unknown-setting")
    try:
        return _applied(config, given, task)
    except SettingError as error:

        def fault_of(some: Sequence[str]) -> str:
            try:
                _applied(config, some, task)
            except ConfigError as other:
                return str(other)
            return ""

        named = ", ".join(overrides.responsible(given, str(error), fault_of) or given)
        raise ConfigError(f"--set {named}: {error}", cause=error.cause) from None


def _applied(config: Mapping[str, Any], given: Sequence[str], task: TaskSchema) -> dict[str, Any]:
    value, sources = overrides.apply(dict(config), given)
    model = task.Config
    training = _undirected(value["training"], sources, task.SCORES)
    value["training"] = _plain(directed(_checked(Training, training, ("training",)), task.SCORES))
    sections = {key: value[key] for key in SECTIONS if key in model.model_fields}
    value.update(_plain(_checked(model, sections, ())))
    return value


def _undirected(training: Any, changed: Iterable[tuple[str | int, ...]], scores: Scores) -> Any:
    """Without stored directions, where a score brings its own or is another one than before."""
    if not isinstance(training, Mapping):
        return training
    found, paths = dict(training), list(changed)
    for name, key in (("keep", "best"), ("stop", "score"), ("schedule", "score")):
        section = found.get(name)
        given = any(path[:3] == ("training", name, "direction") for path in paths)
        if given or not isinstance(section, Mapping):
            continue
        renamed = any(path[:3] == ("training", name, key) for path in paths)
        score = find(str(section.get(key)), scores)
        if renamed or (score and score.better):
            found[name] = {k: v for k, v in section.items() if k != "direction"}
    return found


def _checked(model: type[Section], data: Any, path: tuple[str, ...]) -> Section:
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        problem = explain(error, model, data)
        raise SettingError((*path, *problem.path), problem.problem, problem.cause) from None


def _plain(section: BaseModel) -> dict[str, Any]:
    return json.loads(section.model_dump_json(by_alias=True))
