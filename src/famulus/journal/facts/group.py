"""Replicates together: one group is one cell of the matrix, run with one or more seeds."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from famulus.journal.facts.numbers import JSON, plain, pm
from famulus.journal.facts.record import Record
from famulus.journal.facts.unused_axes import idle, without

OUTSIDE = ("why", "expect", "cost", "replicates", "matrix")  # in these no replicate differs


HIDDEN = "***"  # a setting that was masked tells nothing apart


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone. `key` is the colour and the link of all its traces."""

    key: int
    axes: Mapping[str, JSON]
    records: tuple[Record, ...] = ()
    child_of: str = ""  # id of the run that this one goes on from, with other settings

    def values(self, score: str, finished: bool = False) -> list[float]:
        """The score of each replicate that has one."""
        runs = [r for r in self.records if not finished or r.status == "finished"]
        return [r.scores[score] for r in runs if score in r.scores]

    def mean(self, score: str, finished: bool = False) -> float | None:
        values = self.values(score, finished)
        # fsum: exact whatever the order in which runs ended
        return math.fsum(values) / len(values) if values else None

    def spread(self, score: str, finished: bool = False) -> float | None:
        """Standard deviation (n - 1) over replicates; None for a single one."""
        values = self.values(score, finished)
        # n - 1: replicates are a handful
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def shown(self, score: str, finished: bool = False) -> str:
        """'0.0349 ± 0.0005': mean and spread; '' without a value."""
        mean = self.mean(score, finished)
        return "" if mean is None else pm(mean, self.spread(score, finished))

    @property
    def status(self) -> str:
        """finished when all are; else the state that asks most for attention."""
        states = {r.status for r in self.records}
        unfinished = ("failed", "interrupted", "running", "planned")
        return next((state for state in unfinished if state in states), "finished")

    @property
    def learned(self) -> bool | None:
        """True if any replicate has learned, False if none has; None where that can't be told."""
        verdicts = {r.learning.verdict for r in self.records}
        return True if True in verdicts else None if None in verdicts else False

    @property
    def settled(self) -> bool:
        """Nothing more will come: finished or failed."""
        return all(r.status in ("finished", "failed") for r in self.records)


def axis_names(records: Iterable[Record]) -> list[str]:
    """Matrix keys in the order in which the file gives them."""
    return list(dict.fromkeys(axis for record in records for axis in record.axes))


def token(value: JSON) -> str:
    """A text that two matrix values share only if they are the same."""
    return f"{type(value).__name__}:{json.dumps(value, sort_keys=True, default=str)}"


def domain(groups: Iterable[Group], axis: str) -> list[JSON]:
    """Distinct values of an axis, in order of appearance; None (no such key) left out."""
    values = (g.axes.get(axis) for g in groups)
    return list({token(v): v for v in values if v is not None}.values())


def gather(records: Sequence[Record]) -> tuple[Group, ...]:
    """Groups in order of appearance; children of the same experiment follow as their own."""
    ids = {r.id for r in records}
    cells: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        # by settings too: a child that went on with others is no replicate
        rest = without(record.config, [*OUTSIDE, "training.seed", *idle(record.facts)])
        parent = record.parent.get("run", "")
        heir = parent if parent in ids and record.heir else ""
        same_cell = json.dumps([record.axes, rest], sort_keys=True, default=str)
        cells.setdefault((heir, same_cell), []).append(record)
    return tuple(
        Group(n, runs[0].axes, tuple(sorted(runs, key=lambda r: (r.replicate, r.id))), heir)
        for n, ((heir, _), runs) in enumerate(sorted(cells.items(), key=lambda c: bool(c[0][0])))
    )


MUTE = ("none", "auto", "default", "on", "off")  # texts that say nothing without their axis


def _named(value: JSON) -> str:
    """'plateau (factor 0.75, patience 25)' of a section with a name."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return plain(value)
    rest = ", ".join(f"{k} {plain(v)}" for k, v in value.items() if k != "name")
    return f"{value['name']} ({rest})" if rest else str(value["name"])


def title(axes: Mapping[str, JSON], names: Iterable[str], separator: str = " · ") -> str:
    """'mnist · bilinear · 20': the values of the axes named, with a name where a value is bare."""
    parts, names = [], list(names)
    for name in names:
        value = axes.get(name)
        if value in (None, HIDDEN):
            continue
        # a number alone says nothing, nor does a word that another axis has as well
        twin = any(axes.get(other) == value for other in names if other != name)
        bare = isinstance(value, bool | int | float) or twin or value in MUTE
        parts.append(f"{name} {plain(value)}" if bare else _named(value))
    return separator.join(parts)
