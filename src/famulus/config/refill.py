"""A stored run's filled config with some settings changed, checked like a file."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from famulus.config import overrides
from famulus.config.errors import ConfigError, SettingError
from famulus.config.identity import SECTIONS
from famulus.config.nearest import suggestion
from famulus.config.problems import explain
from famulus.config.schema import Training


def refill(
    config: Mapping[str, Any], given: Iterable[str], model: type[BaseModel]
) -> dict[str, Any]:
    """`config` with each `a.b=v` of `given` applied; `model` is the task's Config.

    Raises ConfigError, one line, for a key that is unknown or a value that does not fit.
    """
    given = list(given)
    for one in given:
        first = one.partition("=")[0].strip().split(".")[0]
        if first not in config:
            problem = f"unknown key {first}, {suggestion(first, config)}"
            raise ConfigError(f"--set {one}: {problem}", cause="unknown-setting")
    value, sources = overrides.apply(dict(config), given)
    try:
        value["training"] = _filled(Training, value["training"], ("training",))
        sections = {key: value[key] for key in SECTIONS if key in model.model_fields}
        value.update(_filled(model, sections, ()))
    except SettingError as error:
        from_ = next((o for path, o in sources.items() if error.path[: len(path)] == path), None)
        named = from_ or ", ".join(given)
        raise ConfigError(f"--set {named}: {error}", cause=error.cause) from None
    return value


def _filled(model: type[BaseModel], data: Any, path: tuple[str, ...]) -> dict[str, Any]:
    try:
        made = model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        problem = explain(error, model, data)
        raise SettingError((*path, *problem.path), problem.problem, problem.cause) from None
    return json.loads(made.model_dump_json(by_alias=True))
