"""Views of a results table: columns that join or leave, the order of rows, axes averaged away."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from famulus.config.errors import ConfigError
from famulus.journal.facts.group import Group, token
from famulus.journal.facts.table import Cell, Column, Table, value


def select(table: Table, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Table:
    """Columns whose name holds one of `include` join those shown; those of `exclude` leave."""
    include, exclude = list(include), list(exclude)
    for wanted in include:
        _find(table, wanted)
    columns = [c for c in table.columns if c.shown or any(i in _bare(c) for i in include)]
    kept = tuple(c for c in columns if not any(e in _bare(c) for e in exclude))
    return replace(table, columns=kept)


def _bare(column: Column) -> str:
    """A column's name without its budget: `-e inputs` must not hide `val/loss (1 M inputs)`."""
    return re.sub(r" \([^()]* inputs\)", "", column.name)


def _find(table: Table, key: str) -> Column:
    """The column of that name, else the first whose name holds `key`. ConfigError if none does."""
    # the whole name wins: `lr` is a part of others
    exact = [c for c in table.columns if c.name == key]
    columns = exact or [c for c in table.columns if key in c.name]
    if not columns:
        names = ", ".join(c.name for c in table.columns)
        raise ConfigError(
            f"expected (part of) a column's name, received {key!r}: there are {names}"
        )
    return columns[0]


def sort(table: Table, keys: Iterable[str], hidden: Table | None = None) -> Table:
    """By several keys, the first counts most; `-lr` or `lr-` descends; blanks come last; stable.

    A key names a column of `table`, or one of `hidden` that was not selected.
    """
    rows = list(table.rows)
    # the last key first: a stable sort by the first then keeps the others' order
    for key in reversed(list(keys)):
        down = len(key) > 1 and (key.startswith("-") or key.endswith("-"))
        wanted = key.strip("-") if down else key
        shown = any(wanted in c.name for c in table.columns)
        column = _find(table if shown or hidden is None else hidden, wanted)
        cells = [(r.cells.get(column.name), r) for r in rows]
        filled = [(order(cell), r) for cell, r in cells if cell not in (None, "")]
        # blanks apart: reversed they would come first
        filled.sort(key=lambda pair: pair[0], reverse=down)
        rows = [r for _, r in filled] + [r for cell, r in cells if cell in (None, "")]
    return replace(table, rows=tuple(rows))


def order(cell: Cell) -> tuple[int, float, str]:
    """Numbers before texts, each by their own order."""
    number = value(cell)
    return (0, number, "") if number is not None else (1, 0.0, str(cell))


def average_over(
    groups: Sequence[Group], axes: Sequence[str], column: str
) -> tuple[Sequence[Group], Sequence[str]]:
    """Groups with one axis averaged away: runs that agree in all other axes stand together."""
    if column in ("replicate", "seed"):
        return groups, axes  # replicates stand together already
    if column not in axes:
        raise ConfigError(
            f"expected an axis to average over, received {column!r}: there are {', '.join(axes)}"
        )
    rest = [a for a in axes if a != column]
    merged: dict[tuple, list[Group]] = {}
    for group in groups:
        key = (group.child_of, *(token(group.axes.get(a)) for a in rest))
        merged.setdefault(key, []).append(group)
    records = {key: tuple(r for g in same for r in g.records) for key, same in merged.items()}
    kept = {key: {a: same[0].axes.get(a) for a in rest} for key, same in merged.items()}
    return [replace(s[0], axes=kept[k], records=records[k]) for k, s in merged.items()], rest


def with_extremes(table: Table) -> Table:
    """Columns (n), (min), (max), (std) beside each score: what an average hides."""
    columns: list[Column] = []
    rows: list[dict[str, Cell]] = [dict(row.cells) for row in table.rows]
    for column in table.columns:
        columns.append(column)
        if column.kind != "score":
            continue
        for what, field in (("n", "n"), ("min", "low"), ("max", "high"), ("std", "std")):
            name = f"{column.name} ({what})"
            columns.append(Column(name, "number", column.shown))
            for cells in rows:
                cells[name] = getattr(cells.get(column.name), field, None)
    pairs = zip(table.rows, rows, strict=True)
    return replace(
        table, columns=tuple(columns), rows=tuple(replace(row, cells=c) for row, c in pairs)
    )
