"""JSON Schema of an experiment file, so that editors complete and check while one types."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from famulus.config.identity import SECTIONS
from famulus.config.schema import Experiment, Strict

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ONCE = ("name", "matrix", "replicates", "expect", "cost")  # of the experiment, not of a cell
REFERENCE = {"type": "string", "pattern": r"\$\{matrix\.[^{}]+\}"}  # stands for any value
SHORTHANDS = {"Clip": {"type": "number", "exclusiveMinimum": 0}}  # written in place of a section


def json_schema(task_configs: Mapping[str, type[Strict]]) -> dict[str, Any]:
    """One schema for all tasks: the sections data, model and loss depend on `task`."""
    whole = Experiment.model_json_schema(by_alias=True, mode="validation")
    definitions = _open_up(whole.pop("$defs", {}))
    whole["properties"] = {
        key: value if key in ONCE else _or_reference(_open_up(value))
        for key, value in whole["properties"].items()
    }
    whole["properties"]["task"] = {
        "enum": sorted(task_configs),
        "description": "name of a task's file",
    }
    cases = []
    for name, config in sorted(task_configs.items()):
        sections, needed = _sections(name, config, definitions)
        for parent in config.parents:
            sections[parent] = {
                "type": ["string", "null"],
                "description": "first stage: RUN, RUN@best or last:EXPERIMENT",
            }
            whole["properties"].setdefault(parent, {})
        condition = {"properties": {"task": {"const": name}}, "required": ["task"]}
        cases.append({"if": condition, "then": {"properties": sections, "required": needed}})
    return {
        "$schema": DIALECT,
        **whole,
        "title": "Famulus experiment",
        "allOf": cases,
        "$defs": definitions,
    }


def _sections(
    task: str, config: type[Strict], definitions: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The task's sections and which must be there; its definitions go in under its own name."""
    # two tasks may both have a section of that name
    prefix = f"{task}."
    schema = config.model_json_schema(
        by_alias=True, mode="validation", ref_template=f"#/$defs/{prefix}{{model}}"
    )
    for name, definition in schema.get("$defs", {}).items():
        definitions[prefix + name] = _open_up({"": definition})[""]
    properties = {k: v for k, v in schema.get("properties", {}).items() if k in SECTIONS}
    return properties, [key for key in schema.get("required", []) if key in SECTIONS]


def _open_up(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which any value inside a section may also be `${matrix.NAME}`."""
    opened = deepcopy(dict(schemas))
    for name, schema in opened.items():
        if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
            schema["properties"] = {k: _or_reference(v) for k, v in schema["properties"].items()}
            if name in SHORTHANDS:
                opened[name] = {"anyOf": [schema, SHORTHANDS[name]]}
    return opened


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and "enum" not in schema and "pattern" not in schema:
        return schema
    names = ("title", "description", "default")
    about: dict[str, Any] = {k: schema[k] for k in names if k in schema}
    rest = {k: v for k, v in schema.items() if k not in about}
    return {**about, "anyOf": [rest, REFERENCE]}
