"""The schema says what the reader says; read with a small validator of its own."""

import re

from famulus.config.jsonschema import json_schema
from famulus.config.schema import Experiment
from famulus.config.yaml import load
from tests.config.test_experiment import SMALL, TEXT, Config

SCHEMA = json_schema({"tiles": Config})
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def fits(value, schema):
    """The keywords that the schema uses, and no others."""
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    if "if" in schema:
        return not fits(value, schema["if"]) or fits(value, schema["then"])
    types = schema.get("type")
    if types and not any(
        has_type(value, t) for t in ([types] if isinstance(types, str) else types)
    ):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return False
    if isinstance(value, int | float) and not value > schema.get("exclusiveMinimum", float("-inf")):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if not set(schema.get("required", ())) <= set(value):
            return False
        if schema.get("additionalProperties") is False and not set(value) <= set(properties):
            return False
        if not all(fits(v, properties[k]) for k, v in value.items() if k in properties):
            return False
    if isinstance(value, list) and not all(fits(v, schema.get("items", {})) for v in value):
        return False
    for word, enough in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        if word in schema and not enough(fits(value, s) for s in schema[word]):
            return False
    return True


def has_type(value, name):
    if name in ("number", "integer"):
        kinds = int | float if name == "number" else int
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def test_right_files_fit():
    assert fits(load(TEXT).value, SCHEMA)
    assert fits(load(SMALL + "codes: last:x\n").value, SCHEMA)
    assert fits(load(SMALL.replace("10}", "10, clip: 1.5}")).value, SCHEMA)


def test_wrong_files_do_not():
    for old, new in [
        ("batch: 64", "batchsize: 64"),
        ("batch: 64", "batch: many"),
        ("task: tiles", "task: tile"),
        ("kernel: 3", "kernal: 3"),
        ("why: W", "wy: W"),
        ("cosine", "cosin"),
        ("clip: null", "clip: -1"),
        ("[16, 24, 32]", "[a]"),
    ]:
        assert not fits(load(TEXT.replace(old, new)).value, SCHEMA), new


def test_every_field_says_what_it_means():
    for name, definition in Experiment.model_json_schema()["$defs"].items():
        for field, schema in definition.get("properties", {}).items():
            assert schema.get("description"), f"{name}.{field}"
