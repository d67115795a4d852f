"""A validation error in one line: where, what was expected, what was received, the nearest name."""

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from famulus.config.errors import SettingError, cause_of
from famulus.config.nearest import nearest, suggestion
from famulus.config.yaml import inline

Path = tuple[str | int, ...]
SHOWN = 60  # characters of a received value

KINDS = {
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a section",
    "model": "a section",
    "none": "null",
}
LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("of at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("of at most", "le"),
    "multiple_of": ("that is a multiple of", "multiple_of"),
}
LENGTHS = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}


def explain(error: ValidationError, model: type[BaseModel], data: Any) -> SettingError:
    """The first problem, as `training.batchsize: unknown key, did you mean 'batch'?`."""
    by_path: dict[Path, list[dict[str, Any]]] = {}
    for detail in _of_the_meant_branch(error.errors(include_url=False), data):
        path = _in_data(detail["loc"], data, detail["type"] == "missing")
        by_path.setdefault(path, []).append(dict(detail))
    # an unknown key first: a misspelt name is also a missing one
    paths = sorted(by_path, key=lambda p: by_path[p][0]["type"] != "extra_forbidden")
    path, details = paths[0], by_path[paths[0]]
    problem = _problem(path, details, model)
    # one at a time: the rest often follow from the first
    more = len(paths) - 1
    return SettingError(path, problem + (f" (and {more} more)" if more else ""), _cause(details[0]))


def _cause(detail: dict[str, Any]) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown-setting"
    return cause_of(detail.get("ctx", {}).get("error"))


def _of_the_meant_branch(details: list[Any], data: Any) -> list[Any]:
    """Of a union of sections, the errors of the branch that was probably meant.

    A branch whose fixed word (`kind: vae`) is another is not meant; then the fewest errors decide.
    If no branch has the word, the words that are allowed are the error.
    """
    unions: dict[Path, dict[Any, list[Any]]] = {}
    kept: list[Any] = []
    for detail in details:
        path, branch = _split_at_branch(detail["loc"], data)
        if branch is None:
            kept.append(detail)
        else:
            unions.setdefault(path, {}).setdefault(branch, []).append(detail)
    for path, branches in unions.items():
        inside = {
            branch: errors
            for branch, errors in branches.items()
            if any(
                len(_in_data(e["loc"], data, e["type"] == "missing")) > len(path) for e in errors
            )
        }
        words = {b: [e for e in es if e["type"] == "literal_error"] for b, es in inside.items()}
        meant = {b: errors for b, errors in inside.items() if not words[b]}
        if not inside:
            kept += [e for errors in branches.values() for e in errors]
        elif meant:
            kept += sorted(meant.values(), key=len)[0]
        else:
            kept += [e for errors in words.values() for e in errors]
    return kept


def _split_at_branch(loc: Path, data: Any) -> tuple[Path, Any]:
    """The path up to the first part that stands in no file, and that part; None without one."""
    for i, part in enumerate(loc[:-1]):
        if not _holds(data, part):
            return loc[:i], part
        data = data[part]
    return loc, None


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list | tuple):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _in_data(loc: Path, data: Any, missing: bool) -> Path:
    """`loc` without the names of union branches, which stand in no file."""
    path: list[str | int] = []
    for i, part in enumerate(loc):
        if _holds(data, part):
            data = data[part]
        elif not (missing and i == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)


def _problem(path: Path, details: list[dict[str, Any]], model: type[BaseModel]) -> str:
    first = details[0]
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key, {suggestion(str(path[-1]), names_at(model, path[:-1]))}"
    if kind == "missing":
        meaning = _description(model, path)
        return f"missing{f': {meaning}' if meaning else ''}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("expect_form", "assertion_error"):
        return str(first["msg"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_problem(first, context)
    if all(d["type"] == "literal_error" for d in details):
        details = [_merged(details)]
    expected = dict.fromkeys(filter(None, map(_expected, details)))
    if not expected:
        text = str(first["msg"])
        return f"{text[:1].lower()}{text[1:]}, received {shown(first['input'])}"
    return f"expected {' or '.join(expected)}, received {shown(first['input'])}{_hint(details)}"


def _merged(details: list[dict[str, Any]]) -> dict[str, Any]:
    """The words of several branches as one list."""
    words = [w for d in details for w in d["ctx"]["expected"].replace(" or ", ", ").split(", ")]
    words = list(dict.fromkeys(words))
    text = " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    return {**details[0], "ctx": {"expected": text}}


def _tag_problem(detail: dict[str, Any], context: dict[str, Any]) -> str:
    key = str(context.get("discriminator", "kind")).strip("'")
    names = [name.strip(" '") for name in str(context.get("expected_tags", "")).split(",")]
    if detail["type"] == "union_tag_not_found":
        return f"missing {key}"
    return f"unknown {key} '{context.get('tag')}', {suggestion(str(context.get('tag')), names)}"


def _expected(detail: dict[str, Any]) -> str | None:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in LIMITS:
        word, key = LIMITS[kind]
        return f"a number {word} {context[key]}"
    if kind in LENGTHS:
        word, key = LENGTHS[kind]
        return f"{word} {context[key]} values"
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "finite_number":
        return "a finite number"
    if kind == "string_too_short":
        return f"text of at least {context['min_length']} characters"
    if kind == "string_too_long":
        return f"text of at most {context['max_length']} characters"
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}"
    return KINDS.get(kind.partition("_")[0])


def _hint(details: list[dict[str, Any]]) -> str:
    value, kinds = details[0]["input"], {d["type"].partition("_")[0] for d in details}
    # 1e6 is a number with a fraction to YAML
    if isinstance(value, float) and value.is_integer() and "int" in kinds:
        return f" (write {int(value):_})"
    if isinstance(value, str) and "bool" in kinds and value.lower() in ("yes", "no", "on", "off"):
        return " (which is text in YAML 1.2)"
    literal = next((d for d in details if d["type"] == "literal_error"), None)
    if literal and isinstance(value, str):
        names = str(literal["ctx"]["expected"]).replace(" or ", ", ").split(", ")
        close = nearest(value, [name.strip("'") for name in names])
        return f", did you mean '{close}'?" if close else ""
    return ""


def shown(value: Any) -> str:
    """A received value as a person would write it, cut to what fits in a line."""
    try:
        text = inline(value)
    except TypeError:
        text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def names_at(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that may stand in the section at `path`."""
    return sorted({key for m in _models_at(model, path) for key in _keys(m)})


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    here = [model]
    for part in path:
        if isinstance(part, int):
            continue  # the items of a list: their models were found with the list's
        fields = [_keys(m)[part] for m in here if part in _keys(m)]
        here = [inner for field in fields for inner in _inner(field.annotation)]
    return here


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, list, tuple, dict):
        for part in get_args(annotation):
            yield from _inner(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _inner(get_args(annotation)[0])


def _description(model: type[BaseModel], path: Path) -> str | None:
    for owner in _models_at(model, path[:-1]):
        if field := _keys(owner).get(str(path[-1])):
            return field.description
    return None
