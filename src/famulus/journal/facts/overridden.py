"""What a run that goes on from another was trained with: its own settings, not its parent's.

A child keeps its parent's values of the matrix, since it is of the same cell; what it was told to
change stands in its settings. Each axis is read back from the setting that the file fills from it,
and a changed setting that no axis fills becomes a column of its own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from famulus.config import yaml
from famulus.config.errors import ConfigError
from famulus.journal.facts.changes import OPERATIONAL, SILENT, as_written, flat
from famulus.journal.facts.group import token
from famulus.journal.facts.record import Record
from famulus.journal.facts.unused_axes import setting

WHOLE = re.compile(r"\$\{\s*matrix\.([\w-]+)\s*\}")
# each row has a column of the inputs that it saw; a budget is nothing else
BUDGET = ("training.inputs", "training.epochs", "training.steps")
_TOLD = ("why", "expect", "name")  # words, no settings


def filled_by(text: str) -> dict[str, list[str]]:
    """Axis -> the dotted settings that are its value alone; {} of a text that is no experiment."""
    try:
        value = yaml.load(text).value
    except ConfigError:
        return {}
    paths: dict[str, list[str]] = {}
    for path, leaf in _leaves(value):
        if isinstance(leaf, str) and (axis := WHOLE.fullmatch(leaf)):
            paths.setdefault(axis[1], []).append(path)
    return paths


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}{key}.")
    else:
        yield prefix.rstrip("."), value


def with_overrides(records: Sequence[Record], text: str) -> list[Record]:
    """`records` with axes that say what each was trained with. `text`: the experiment's file."""
    heirs = [r for r in records if r.heir]
    if not heirs:
        return list(records)
    paths, by_id = filled_by(text), {r.id: r for r in records}
    own = {r.id: _axes(r, paths) for r in heirs}
    by_axis = {p for found in paths.values() for p in found}
    extra: dict[str, None] = {}
    for heir in heirs:
        origin = _origin(heir, by_id)
        before, after = (_settings(r) for r in (origin, heir))
        changed = [p for p in after if token(after[p]) != token(before.get(p))]
        # without the file's text: the one setting that had the axis's value and has another now
        guessed = {} if paths else _guessed(origin, changed, before, after)
        own[heir.id] |= {axis: after[p] for axis, p in guessed.items()}
        extra |= dict.fromkeys(p for p in changed if p not in {*by_axis, *guessed.values()})
    return [
        replace(r, axes={**r.axes, **own.get(r.id, {}), **{p: setting(r.config, p) for p in extra}})
        for r in records
    ]


def repeated(repetitions: Sequence[Record], records: Sequence[Record]) -> tuple[Record, ...]:
    """`repetitions` under the axes of what they repeat, which may be a fork or a repetition."""
    axes, shown = {r.id: r.axes for r in records}, []
    for one in sorted(repetitions, key=lambda r: (r.started, r.id)):
        axes[one.id] = axes.get(one.repeats, one.axes)
        shown.append(replace(one, axes=axes[one.id]))
    return tuple(shown)


def _axes(record: Record, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Axes whose setting is no longer the matrix's value."""
    found = {}
    for axis, value in record.axes.items():
        values = [setting(record.config, path) for path in paths.get(axis, ())]
        other = [v for v in values if token(v) != token(value)]
        if other and value is not None:
            found[axis] = other[0]
    return found


def _guessed(
    origin: Record, changed: Sequence[str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, str]:
    found = {}
    for axis, value in origin.axes.items():
        fitting = [p for p in changed if p in before and token(before[p]) == token(value)]
        if len(fitting) == 1:
            found[axis] = fitting[0]
    return found


def _origin(record: Record, by_id: Mapping[str, Record]) -> Record:
    """The run that a curve began with: what its children changed is told against it."""
    known = {record.id}
    while record.heir and (parent := by_id.get(record.parent["run"])) and parent.id not in known:
        known.add(parent.id)
        record = parent
    return record


def _settings(record: Record) -> dict[str, Any]:
    silent = (*SILENT, *_TOLD)
    leaves = flat({k: v for k, v in as_written(record.config).items() if k not in silent})
    return {p: v for p, v in leaves.items() if p not in (*BUDGET, *OPERATIONAL)}
