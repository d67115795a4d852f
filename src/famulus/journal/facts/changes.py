"""What differs between filled configurations: cells of one experiment, or its earlier version."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from famulus.journal.facts.group import token
from famulus.journal.facts.numbers import JSON, plain
from famulus.journal.facts.record import Record

# told elsewhere, never part of what was computed, or the store's own
SILENT = ("matrix", "replicates", "cost", "origin")
# where a run is computed and not what: no difference of the experiment
OPERATIONAL = ("training.device", "training.workers", "training.threads", "training.probes")


def as_written(config: Mapping[str, JSON]) -> dict[str, JSON]:
    """A filled config as a person would write it: references as RUN@STEP, no key of the store's."""
    return {k: _reference(v) for k, v in config.items() if k != "origin"}


def _reference(value: JSON) -> JSON:
    resolved = isinstance(value, Mapping) and {"run", "step", "sha256"} == set(value)
    return f"{value['run']}@{value['step']}" if resolved else value  # type: ignore[call-overload, index]  # checked above


def flat(config: Mapping[str, JSON], prefix: str = "") -> dict[str, JSON]:
    """Dotted path -> leaf; lists stay whole."""
    leaves: dict[str, JSON] = {}
    for key, value in config.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, path + ".")
        else:
            leaves[path] = value
    return leaves


def levels(records: Iterable[Record]) -> dict[str, list[JSON]]:
    """Dotted path -> its distinct values over the runs, in order of appearance."""
    written = (as_written(r.config) for r in records)
    configs = ({k: v for k, v in c.items() if k not in SILENT} for c in written)
    return _distinct({p: v for p, v in flat(c).items() if p not in OPERATIONAL} for c in configs)


def _distinct(settings: Iterable[Mapping[str, JSON]]) -> dict[str, list[JSON]]:
    values: dict[str, dict[str, JSON]] = {}
    for one in settings:
        for name, value in one.items():
            # by token: 1, 1.0 and true are equal to Python, and not the same setting
            values.setdefault(name, {})[token(value)] = value
    return {name: list(distinct.values()) for name, distinct in values.items()}


def varying(records: Sequence[Record]) -> list[str]:
    """Dotted paths whose values differ between the runs; one that only some have is one."""
    each = [levels([r]) for r in records]
    return [
        path for path, values in levels(records).items()
        if len(values) > 1 or not all(path in one for one in each)
    ]  # fmt: skip


def show(value: JSON) -> str:
    """A setting in a sentence: null stays visible, long values are cut."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else plain(value)
    text = "null" if value is None else text
    return text if len(text) <= 60 else text[:57] + "..."


def differences(old: Sequence[Record], new: Sequence[Record]) -> list[str]:
    """One line a difference: values of the matrix, then settings of the cells that both have.

    Where no cell is in both, the values of each setting over all cells are compared.
    """
    axes = [_distinct(r.axes for r in side) for side in (old, new)]
    lines = [f"matrix {line}" for line in _told(*axes)]
    shared = {_cell(r) for r in old} & {_cell(r) for r in new}
    if shared:
        old = [r for r in old if _cell(r) in shared]
        new = [r for r in new if _cell(r) in shared]
    before, after = levels(old), levels(new)
    if before.pop("expect", None) != after.pop("expect", None):
        lines.append("expect: the expectations were changed")
    seeds = [{token(v) for v in side.get("training.seed", [])} for side in (before, after)]
    # some seed in common: other replicates, not another seed
    if seeds[0] & seeds[1]:
        old_n, new_n = _replicates(old), _replicates(new)
        lines += [f"replicates: {old_n} → {new_n}"] if old_n != new_n else []
        before.pop("training.seed")
        after.pop("training.seed")
    return lines + _told(before, after)


def _replicates(records: Sequence[Record]) -> int:
    """Most runs that any cell has."""
    counts = Counter(_cell(r) for r in records if not r.heir)
    return max(counts.values(), default=0)


def _cell(record: Record) -> str:
    return json.dumps([[k, token(v)] for k, v in sorted(record.axes.items())])


def _told(before: dict[str, list[JSON]], after: dict[str, list[JSON]]) -> list[str]:
    """One line for each name whose set of values differs: 'training.batch: 64 → 128'."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        a = {token(v): v for v in before.get(path, [])}
        b = {token(v): v for v in after.get(path, [])}
        more = ", ".join(show(v) for k, v in b.items() if k not in a)
        less = ", ".join(show(v) for k, v in a.items() if k not in b)
        if not a:
            lines.append(f"{path}: new, {more}")
        elif not b:
            lines.append(f"{path}: no longer set, was {less}")
        elif more and less:
            lines.append(f"{path}: {less} → {more}")
        elif more or less:
            lines.append(f"{path}: {more} added" if more else f"{path}: {less} dropped")
    return lines


def signature(record: Record) -> str:
    """Equal for the cells of one version of a file: what does not come from its matrix."""
    # a matrix writes its values into the settings: what comes from it is no version
    own = {token(v) for v in (record.config.get("matrix") or {}).values()}
    silent = (*SILENT, "why", "expect", "name")
    leaves = flat({k: v for k, v in as_written(record.config).items() if k not in silent})
    free = (*OPERATIONAL, "training.seed")
    fixed = {k: v for k, v in leaves.items() if k not in free and token(v) not in own}
    axes = sorted(k for k in record.config.get("matrix") or {})
    return json.dumps([axes, fixed], sort_keys=True, default=str)


def last_version(others: Sequence[Record]) -> list[Record]:
    """Of runs that the present plan does not contain: those of the newest earlier version."""
    others = [r for r in others if not r.heir]
    if not others:
        return []
    newest = signature(max(others, key=lambda r: (r.started, r.id)))
    return [r for r in others if signature(r) == newest]
