"""The results table: one row a cell of the matrix, means over replicates, and the meter.

Units: minutes of training of one run, inputs/s while training. A cell is None where a matrix key
does not apply. Renderers are in `render.py`.
"""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from famulus.config.errors import ConfigError
from famulus.journal.facts.group import Group, token
from famulus.journal.facts.numbers import count
from famulus.journal.facts.ranking import DEFAULT, Ranking
from famulus.journal.facts.record import Record

PER_INPUTS = "Wh/1,000 inputs"  # the energy of the device that trained
WIDEST = 11  # columns that a page has room for
METER = 20  # stars beyond the first


@dataclass(frozen=True)
class Measured:
    """A score over `n` runs: mean, standard deviation (n - 1; None for one run), extremes."""

    mean: float
    std: float | None
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Column:
    """`kind`: axis | score | meter | number | text. `shown` unless asked for by include."""

    name: str
    kind: str
    shown: bool = True


@dataclass
class Row:
    """One line: `cells` by column name, and the runs behind it."""

    cells: dict[str, Any]
    records: list[Record] = field(default_factory=list)
    group: int = 0
    child_of: str = ""
    status: str = "finished"


@dataclass
class Table:
    columns: list[Column]
    rows: list[Row]
    score: str = ""  # name of the column that the meter shows
    ranking: Ranking = DEFAULT

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]


def meter(value: float, low: float, high: float) -> int:
    """Stars of the journals' meter: int((v - min) / (max - min) * 20 + 1), 1 if min = max."""
    return int((value - low) / (high - low) * METER + 1) if high > low else 1


def measured(values: Iterable[float]) -> Measured | None:
    """Mean and spread of some runs' scores; None of no run."""
    found = [float(v) for v in values]
    if not found:
        return None
    std = float(np.std(found, ddof=1)) if len(found) > 1 else None
    return Measured(math.fsum(found) / len(found), std, len(found), min(found), max(found))


def score_title(score: str, records: list[Record]) -> str:
    """'val/loss (1 M inputs)' where all finished runs saw as many, else the bare name."""
    seen = {r.inputs for r in records if r.status == "finished" and r.inputs}
    return f"{score} ({count(seen.pop())} inputs)" if len(seen) == 1 else score


def build(
    groups: list[Group],
    axes: list[str],
    ranking: Ranking,
    scores: list[str],
    promised: Collection[str] = (),
) -> Table:
    """All columns that the groups can fill; `select` then narrows them.

    `promised`: scores that the file's `expect` speaks of; they are shown beside the leading one.
    """
    records = [r for g in groups for r in g.records]
    score = ranking.score
    main = score_title(score, records)
    others = [s for s in scores if s != score]
    columns = [Column(a, "axis") for a in axes]
    columns += [Column(main, "score"), *([Column("meter", "meter")] if ranking.better else [])]
    columns += [Column(s, "score", shown=s in promised) for s in others]
    columns += [Column(f"best {score}", "score", shown=False)]
    columns += [Column("parameters", "number"), Column("minutes", "number")]
    columns += [Column("inputs/s", "number")]
    columns += [Column(n, "number", shown=False) for n in ("inputs", "steps", "seed", "wait")]
    on_gpu = any(str(r.facts.get("device")).startswith("cuda") for r in records)
    # between steps a process on a CPU holds little of what a step takes: its peak is worth a look
    room = sum(c.shown for c in columns) < WIDEST
    peaks = on_gpu or (room and any(r.rehearsed_mb for r in records))
    columns += [Column("memory (MB)", "number", shown=peaks)]
    metered = any(r.energy_wh for r in records)
    columns += [Column("Wh", "number", shown=False), Column("watts", "number", shown=False)]
    columns += [Column(PER_INPUTS, "number", shown=metered)]
    unusual = any(r.status != "finished" for r in records) or any(g.child_of for g in groups)
    columns += [Column("status", "text", shown=unusual), Column("run", "text", shown=False)]
    named: dict[str, Column] = {}
    for column in columns:
        named.setdefault(column.name, column)  # an axis may be named steps, inputs or seed
    columns = list(named.values())
    rows = [_row(g, axes, main, ranking, others) for g in groups]
    table = Table(columns, rows, main, ranking)
    add_meter(table)
    return table


def _row(group: Group, axes: list[str], main: str, ranking: Ranking, others: list[str]) -> Row:
    runs, score = group.records, ranking.score
    cells: dict[str, Any] = {a: group.axes.get(a) for a in axes}
    done = any(r.status == "finished" for r in runs)  # else what is known so far
    cells[main] = measured(group.values(score, done))
    cells |= {s: measured(group.values(s, done)) for s in others}
    cells[f"best {score}"] = measured(v for r in runs if (v := best(r, ranking)) is not None)
    sizes = {r.parameters for r in runs if r.parameters}
    cells["parameters"] = sizes.pop() if len(sizes) == 1 else None  # blank where nets differ
    cells["minutes"] = average([r.seconds / 60 for r in runs if r.seconds])
    cells["inputs/s"] = average([r.rate for r in runs if r.rate])
    cells["inputs"] = average([r.inputs for r in runs if r.inputs])
    cells["steps"] = average([r.step for r in runs if r.step])
    cells["wait"] = average([r.done["wait"] for r in runs if r.done.get("wait") is not None])
    cells["memory (MB)"] = max((r.memory_mb for r in runs if r.memory_mb), default=None)
    metered = [r for r in runs if r.energy_wh]
    cells["Wh"] = average([r.energy_wh for r in metered])
    cells["watts"] = average([r.watts for r in metered if r.watts])
    cells[PER_INPUTS] = average([1000 * r.energy_wh / r.inputs for r in metered if r.inputs])
    cells["seed"] = ", ".join(str((r.config.get("training") or {}).get("seed", "")) for r in runs)
    cells["run"] = ", ".join(r.id for r in runs)
    cells["status"] = _status(group)
    cells |= {a: group.axes.get(a) for a in axes}
    return Row(cells, list(runs), group.key, group.child_of, group.status)


def _status(group: Group) -> str:
    states = [r.status for r in group.records]
    text = ", ".join(
        s if states.count(s) == len(states) else f"{states.count(s)} {s}"
        for s in dict.fromkeys(states)
    )
    budget = (group.records[0].config.get("training") or {}).get("inputs")
    if group.status == "running" and budget:
        text += f" ({100 * group.records[-1].inputs / budget:.0f} %)"
    return text + (f", goes on from {group.child_of[:6]}" if group.child_of else "")


def best(record: Record, ranking: Ranking) -> float | None:
    """The best validation of a run: as its done.json says, else from its curve.

    A run that kept its worst as the best (0.1.0 did where nobody gave a direction) is not believed.
    """
    stored = record.done.get("best") or {}
    keep = (record.config.get("training") or {}).get("keep") or {}
    believed = (keep.get("direction") == "max") == (ranking.better == "higher")
    if believed and stored.get("score") == ranking.score and stored.get("value") is not None:
        return float(stored["value"])
    series = record.series.get(ranking.score)
    return ranking.best(series.value.tolist()) if series is not None else None


def average(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def value(cell: Any) -> float | None:
    """The number behind a cell, for sorting and the meter."""
    if isinstance(cell, Measured):
        return cell.mean
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def settled(row: Row) -> bool:
    """Does a row stand for at least one finished run? Else its scores are those so far."""
    return any(r.status == "finished" for r in row.records)


def add_meter(table: Table) -> None:
    """Fills the column `meter` with 1, the best of the finished rows, to 21, the worst."""
    sign = table.ranking.sign
    scores = {id(r): value(r.cells.get(table.score)) for r in table.rows if settled(r)}
    found = {row: sign * v for row, v in scores.items() if v is not None}
    for row in table.rows:
        v = found.get(id(row))
        row.cells["meter"] = v if v is None else meter(v, min(found.values()), max(found.values()))


def select(table: Table, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Table:
    """Columns whose name holds one of `include` join those shown; those of `exclude` leave."""
    include, exclude = list(include), list(exclude)
    for wanted in include:
        _find(table, wanted)
    columns = [
        c
        for c in table.columns
        if (c.shown or any(i in _bare(c) for i in include))
        and not any(e in _bare(c) for e in exclude)
    ]
    return replace(table, columns=columns)


def _bare(column: Column) -> str:
    """A column's name without its budget: `-e inputs` must not hide `val/loss (1 M inputs)`."""
    return re.sub(r" \([^()]* inputs\)", "", column.name)


def _find(table: Table, key: str) -> Column:
    """The column of that name, else the first whose name holds `key`. ConfigError if none does."""
    exact = [c for c in table.columns if c.name == key]
    found = exact or [c for c in table.columns if key in c.name]
    if not found:
        names = ", ".join(c.name for c in table.columns)
        raise ConfigError(
            f"expected (part of) a column's name, received {key!r}: there are {names}"
        )
    return found[0]


def sort(table: Table, keys: Iterable[str], hidden: Table | None = None) -> Table:
    """By several keys, the first counts most; `-lr` or `lr-` descends; blanks come last; stable.

    A key names a column of `table`, or one of `hidden` that was not selected.
    """
    rows = list(table.rows)
    for key in reversed(list(keys)):
        down = len(key) > 1 and (key.startswith("-") or key.endswith("-"))
        wanted = key.strip("-") if down else key
        shown = any(wanted in c.name for c in table.columns)
        column = _find(table if shown or hidden is None else hidden, wanted)
        filled = [r for r in rows if r.cells.get(column.name) not in (None, "")]
        blank = [r for r in rows if r.cells.get(column.name) in (None, "")]
        filled.sort(key=lambda r, name=column.name: order(r.cells[name]), reverse=down)
        rows = filled + blank
    return replace(table, rows=rows)


def order(cell: Any) -> tuple:
    """Numbers before texts, each by their own order."""
    number = value(cell)
    return (0, number, "") if number is not None else (1, 0.0, str(cell))


def average_over(
    groups: list[Group], axes: list[str], column: str
) -> tuple[list[Group], list[str]]:
    """Groups with one axis averaged away: runs that agree in all other axes stand together."""
    if column in ("replicate", "seed"):
        return groups, axes  # replicates stand together already
    if column not in axes:
        raise ConfigError(
            f"expected an axis to average over, received {column!r}: there are {', '.join(axes)}"
        )
    rest = [a for a in axes if a != column]
    merged: dict[tuple, Group] = {}
    for group in groups:
        key = (group.child_of, *(token(group.axes.get(a)) for a in rest))
        kept = {a: group.axes.get(a) for a in rest}
        one = merged.setdefault(key, Group(group.key, kept, child_of=group.child_of))
        one.records.extend(group.records)
    return list(merged.values()), rest


def with_extremes(table: Table) -> Table:
    """Columns (n), (min), (max), (std) beside each score: what an average hides."""
    columns: list[Column] = []
    for column in table.columns:
        columns.append(column)
        if column.kind != "score":
            continue
        for what in ("n", "min", "max", "std"):
            name = f"{column.name} ({what})"
            columns.append(Column(name, "number", column.shown))
            field_name = {"min": "low", "max": "high"}.get(what, what)
            for row in table.rows:
                cell = row.cells.get(column.name)
                row.cells[name] = getattr(cell, field_name) if cell is not None else None
    return replace(table, columns=columns)
