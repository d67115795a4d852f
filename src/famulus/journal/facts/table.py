"""The results table: one row a cell of the matrix, means over replicates, and the meter.

Units: minutes of training of one run, inputs/s while training. A cell is None where a matrix key
does not apply. `selection.py` narrows, sorts and averages; renderers are in `pages/render.py`.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import JSON, count, figure
from famulus.journal.facts.ranking import DEFAULT, LENGTH, Ranking
from famulus.journal.facts.record import Record

PER_INPUTS = "Wh/1,000 inputs"  # the energy of the device that trained
WIDEST = 11  # columns that a page has room for
METER = 21  # steps of the bar, as in the notebooks, so that old tables compare with new ones


@dataclass(frozen=True)
class Measured:
    """A score over `n` runs: mean, standard deviation (n - 1; None for one run), extremes."""

    mean: float
    std: float | None
    n: int
    low: float
    high: float


Cell: TypeAlias = "JSON | Measured"  # an axis's value, a number, words or a score; None: blank


@dataclass(frozen=True)
class Column:
    """`kind`: axis | score | meter | number | text. `shown` unless asked for by include."""

    name: str
    kind: str
    shown: bool = True


@dataclass(frozen=True)
class Row:
    """One line: `cells` by column name, and the runs behind it.

    `apart`: a fork that was trained for longer or shorter than the plan's runs; not ranked.
    """

    cells: Mapping[str, Cell]
    records: tuple[Record, ...] = ()
    group: int = 0
    apart: bool = False

    @property
    def ranked(self) -> bool:
        """Does it stand for a finished run? Else its scores are those so far."""
        return settled(self) and not self.apart


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    score: str = ""  # name of the column that the meter shows
    ranking: Ranking = DEFAULT

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]


def meter(badness: float, low: float, high: float) -> int:
    """Steps of the bar, 21 for the best (lowest) to 1 for the worst; 21 if min = max.

    The span and the 21 steps are those of the notebooks' meter, int((v - min) / (max - min) * 20
    + 1), turned: there the longest one was the worst.
    """
    # a single score has no span
    return METER - int((badness - low) / (high - low) * (METER - 1)) if high > low else METER


def measured(values: Iterable[float]) -> Measured | None:
    """Mean and spread of some runs' scores; None of no run."""
    scores = [float(v) for v in values]
    if not scores:
        return None
    std = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    return Measured(math.fsum(scores) / len(scores), std, len(scores), min(scores), max(scores))


def score_title(score: str, records: list[Record]) -> str:
    """'val/loss (1 M inputs)' where all finished runs saw as many, else the bare name."""
    # scores at different budgets must not share a heading that names one
    budgets = {r.inputs for r in records if r.status == "finished" and r.inputs}
    return f"{score} ({count(budgets.pop())} inputs)" if len(budgets) == 1 else score


def build(
    groups: Sequence[Group],
    axes: Sequence[str],
    ranking: Ranking,
    scores: Sequence[str],
    expected: Collection[str] = (),
) -> Table:
    """All columns that the groups can fill; `select` then narrows them.

    `expected`: scores that the file's `expect` speaks of; they are shown beside the leading one.
    """
    records = [r for g in groups for r in g.records]
    score = ranking.score
    main = score_title(score, records)
    others = [s for s in scores if s != score]
    columns = [Column(a, "axis") for a in axes]
    columns += [Column(main, "score"), *([Column("meter", "meter")] if ranking.better else [])]
    columns += [Column(s, "score", shown=s in expected) for s in others]
    columns += [Column(f"best {score}", "score", shown=False)]
    columns += [Column("parameters", "number"), Column("minutes", "number")]
    columns += [Column("inputs/s", "number")]
    columns += [Column("inputs", "number", shown=_unequal(records))]
    columns += [Column(n, "number", shown=False) for n in ("steps", "seed", "wait")]
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
    own = [r for g in groups if not g.child_of for r in g.records]
    rows = [_row(g, axes, main, ranking, others, own) for g in groups]
    return Table(tuple(named.values()), _metered(rows, main, ranking), main, ranking)


def _unequal(records: Sequence[Record]) -> bool:
    """Did runs that have ended see different numbers of samples?"""
    return len({r.inputs for r in records if r.status in ("finished", "failed") and r.inputs}) > 1


def _other_length(runs: Sequence[Record], own: Sequence[Record]) -> bool:
    seen = [r.inputs for r in own if r.status == "finished"]
    return bool(seen) and any(
        not min(seen) / LENGTH <= r.inputs <= max(seen) * LENGTH for r in runs
    )


def _row(
    group: Group,
    axes: Sequence[str],
    main: str,
    ranking: Ranking,
    others: list[str],
    own: Sequence[Record],
) -> Row:
    runs, score = group.records, ranking.score
    cells: dict[str, Cell] = {a: group.axes.get(a) for a in axes}
    # one finished replicate settles the cell: those under way would pull its mean
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
    # the most, not the mean: it is what a device must have
    cells["memory (MB)"] = max((r.memory_mb for r in runs if r.memory_mb), default=None)
    metered = [(r, r.energy_wh) for r in runs if r.energy_wh]
    cells["Wh"] = average([wh for _, wh in metered])
    cells["watts"] = average([r.watts for r, _ in metered if r.watts])
    cells[PER_INPUTS] = average([1000 * wh / r.inputs for r, wh in metered if r.inputs])
    cells["seed"] = ", ".join(str((r.config.get("training") or {}).get("seed", "")) for r in runs)
    cells["run"] = ", ".join(r.id for r in runs)
    cells["status"] = _status(group)
    cells |= {a: group.axes.get(a) for a in axes}
    return Row(cells, runs, group.key, bool(group.child_of) and _other_length(runs, own))


def _status(group: Group) -> str:
    states = Counter(r.status for r in group.records)
    text = ", ".join(s if len(states) == 1 else f"{n} {s}" for s, n in states.items())
    budget = (group.records[0].config.get("training") or {}).get("inputs")
    if group.status == "running" and budget:
        text += f" ({100 * group.records[-1].inputs / budget:.0f} %)"
    return text + (f", forked from {group.child_of[:6]}" if group.child_of else "")


def best(record: Record, ranking: Ranking) -> float | None:
    """The best validation of a run: as its done.json says, else from its curve.

    A run that kept its worst as the best (0.1.0 did where nobody gave a direction) is not believed.
    """
    stored = record.done.get("best") or {}
    keep = (record.config.get("training") or {}).get("keep") or {}
    # the other direction kept the run's worst
    believed = (keep.get("direction") == "max") == (ranking.better == "higher")
    if believed and stored.get("score") == ranking.score and stored.get("value") is not None:
        return float(stored["value"])
    series = record.series.get(ranking.score)
    return ranking.best(series.value.tolist()) if series is not None else None


def average(values: Sequence[float]) -> float | None:
    # fsum: exact whatever the order in which runs ended
    return math.fsum(values) / len(values) if values else None


def value(cell: Cell) -> float | None:
    """The number behind a cell, for sorting and the meter."""
    if isinstance(cell, Measured):
        return cell.mean
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def settled(row: Row) -> bool:
    """Does a row stand for at least one finished run? Else its scores are those so far."""
    return any(r.status == "finished" for r in row.records)


def _metered(rows: Sequence[Row], score: str, ranking: Ranking) -> tuple[Row, ...]:
    """Rows with the column `meter`: 21, the best of the finished ones, to 1, the worst."""
    finished = {n: value(row.cells.get(score)) for n, row in enumerate(rows) if row.ranked}
    scores = {n: ranking.sign * v for n, v in finished.items() if v is not None}
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    if figure(low) == figure(high):  # one row alone, or rows that look the same
        scores = {}
    bars = [meter(scores[n], low, high) if n in scores else None for n in range(len(rows))]
    return tuple(
        replace(row, cells={**row.cells, "meter": n}) for row, n in zip(rows, bars, strict=True)
    )
