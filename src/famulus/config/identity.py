"""A run's name: a hash of what is computed, not of how, where or why.

In: task, data, model, loss, training with its seed, start_from, parents, the data's fingerprint.
Out: why, expect, replicates, cost, the matrix (its values stand where they were substituted, and an
axis more must not rename old runs), operational fields, and `added` fields at their default.
"""

import hashlib
import json
import unicodedata
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from famulus.config.errors import ConfigError
from famulus.config.schema import ADDED, MARK, OPERATIONAL, Training

VERSION = "famulus-1"
LENGTH = 12  # hexadecimal digits: two of a million runs agree with probability 0.002
SECTIONS = ("data", "model", "loss")
OUTSIDE = {"why", "expect", "replicates", "cost", "matrix", "training", *SECTIONS}


def canonical(value: Any) -> str:
    """One text for one value: JSON with sorted keys, floats by `repr`, text in NFC.

    1 and 1.0 differ, as do true and 1. Raises TypeError for what is no plain value.
    """
    # sorted: the order of keys in a file is a person's taste
    return json.dumps(_nfc(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _nfc(value: Any) -> Any:
    if isinstance(value, str):
        # One letter has two spellings in Unicode that look the same in a file.
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        normal = {_nfc_key(k): _nfc(v) for k, v in value.items()}
        if len(normal) != len(value):
            raise ConfigError(f"two keys of {sorted(value)} are the same text in NFC")
        return normal
    if isinstance(value, list | tuple):
        return [_nfc(v) for v in value]
    return value


def _nfc_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"expected text as a key, received {key!r}")
    return unicodedata.normalize("NFC", key)


def essence(section: BaseModel) -> dict[str, Any]:
    """A validated section as plain values, without what does not belong to an identity."""
    return _strip(section, section.model_dump(mode="json", by_alias=True))


def _strip(value: Any, plain: Any) -> Any:
    """`plain` is `value` as written out; marks are read from `value`, values from `plain`."""
    if isinstance(value, BaseModel) and isinstance(plain, dict):
        fields = type(value).model_fields
        by_key = {field.alias or name: (name, field) for name, field in fields.items()}
        kept = {}
        for key, item in plain.items():
            name, field = by_key.get(key, (key, None))
            inner = getattr(value, name, None)
            if field is None or not _outside(field, inner):
                kept[key] = _strip(inner, item)
        return kept
    if isinstance(value, list | tuple) and isinstance(plain, list) and len(value) == len(plain):
        return [_strip(v, p) for v, p in zip(value, plain, strict=True)]
    if isinstance(value, dict) and isinstance(plain, dict) and value.keys() == plain.keys():
        return {k: _strip(value[k], p) for k, p in plain.items()}
    return plain


def _outside(field: Any, value: Any) -> bool:
    extra = field.json_schema_extra
    mark = extra.get(MARK) if isinstance(extra, dict) else None
    if mark == ADDED:
        # as if it were not there: runs from before it keep their names
        return bool(value == field.get_default(call_default_factory=True))
    return mark == OPERATIONAL


@lru_cache(maxsize=4096)
def _essence(model: type[BaseModel], text: str) -> str:
    return canonical(essence(model.model_validate_json(text)))


def settled(filled: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """What of a filled config decides a run; `model` is the task's Config, for its marks.

    Raises pydantic's ValidationError if `filled` does not fit the schemas.
    """
    training = json.loads(_essence(Training, json.dumps(filled["training"])))
    task = {key: filled[key] for key in SECTIONS if key in filled}
    if model is not None:
        given = {key: task[key] for key in task if key in model.model_fields}
        task = json.loads(_essence(model, json.dumps(given)))
    # a parent that a task has learned to accept must not rename the runs without one
    rest = {k: _content(v) for k, v in filled.items() if k not in OUTSIDE and v is not None}
    return {**rest, **task, "training": training}


def _content(reference: Any) -> Any:
    """Of a model folder its weights' hash alone: it may be copied and moved."""
    if isinstance(reference, dict) and "folder" in reference:
        return {"sha256": reference["sha256"]}
    return reference


def run_id(filled: dict[str, Any], model: type[BaseModel] | None, fingerprint: str) -> str:
    """12 hexadecimal digits: the same for the same computation on the same data."""
    # the fingerprint too: the same name may stand for other data tomorrow
    value = {"version": VERSION, "config": settled(filled, model), "data": fingerprint}
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:LENGTH]
