"""A results table as text, Markdown, CSV, JSON or LaTeX.

Text, Markdown and LaTeX round by the spread and have headings and units for people; CSV and JSON
give every digit under the columns' own names.
"""

import csv
import io
import json
import re
from dataclasses import replace

from famulus.config.errors import ConfigError
from famulus.journal.facts.numbers import figure, number, plain, pm, time_unit
from famulus.journal.facts.table import PER_INPUTS, Cell, Column, Measured, Table

HEADINGS = {
    "meter": "bar",
    "inputs": "samples",
    "inputs/s": "samples/s",
    PER_INPUTS: "Wh/1,000 samples",
}
UNITS = {"ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days"}


def for_people(table: Table) -> Table:
    """The same with headings for people, and times in the unit that fits the longest of them."""
    minutes = [m for r in table.rows if number(m := r.cells.get("minutes"))]
    # a fraction of a second in a column reads better than milliseconds
    unit, size = time_unit(max([1.0, *(60 * m for m in minutes)]))
    headings = HEADINGS | {"minutes": UNITS[unit]}
    named = {c.name: _heading(c, headings) for c in table.columns}
    # an axis may have that name, and a row can't have it twice
    named = {n: h if h == n or h not in table.names else n for n, h in named.items()}
    timed = any(c.name == "minutes" and c.kind == "number" for c in table.columns)
    rows = []
    for row in table.rows:
        cells = {named.get(n, n): cell for n, cell in row.cells.items()}
        if timed and number(m := row.cells.get("minutes")):
            cells[named["minutes"]] = m if named["minutes"] == "minutes" else m * 60 / size
        rows.append(replace(row, cells=cells))
    columns = tuple(replace(c, name=named[c.name]) for c in table.columns)
    score = named.get(table.score, table.score)
    return replace(table, columns=columns, rows=tuple(rows), score=score)


def _heading(column: Column, headings: dict[str, str]) -> str:
    if column.kind == "axis":
        return column.name
    # a budget stands behind a score's name: val/loss (1 M inputs), val/loss (1 M inputs) (std)
    return headings.get(column.name, column.name.replace(" inputs)", " samples)"))


def shown(cell: Cell, column: Column) -> str:
    """A cell as a person reads it."""
    if cell is None:
        return ""
    if isinstance(cell, Measured):
        return pm(cell.mean, cell.std)
    if column.kind == "meter" and isinstance(cell, int):
        return "*" * cell
    if column.kind == "number" and isinstance(cell, int | float):
        whole = column.name in WHOLE or column.name.endswith("(n)")
        return f"{cell:,.0f}" if whole else figure(cell)
    return plain(cell)


WHOLE = ("parameters", "samples", "steps", "samples/s")


def numeric(column: Column, table: Table) -> bool:
    """Is a column set flush right?"""
    if column.kind in ("score", "number"):
        return True
    cells = [r.cells.get(column.name) for r in table.rows]
    filled = [c for c in cells if c is not None]
    numbers = [isinstance(c, int | float) and not isinstance(c, bool) for c in filled]
    return column.kind == "axis" and bool(filled) and all(numbers)


def text(table: Table) -> str:
    """Columns aligned by spaces."""
    table = for_people(table)
    grid = [[shown(r.cells.get(c.name), c) for c in table.columns] for r in table.rows]
    widths = [max(map(len, (c.name, *(g[n] for g in grid)))) for n, c in enumerate(table.columns)]
    right = [numeric(c, table) for c in table.columns]

    def line(cells: list[str]) -> str:
        parts = (
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * w for w in widths)
    return "\n".join([line(table.names), rule, *map(line, grid)]) + "\n"


def markdown(table: Table) -> str:
    """A pipe table; pipes and line ends inside cells are escaped."""
    table = for_people(table)

    def cell(value: str) -> str:
        # a line end would end the row
        value = re.sub(r"[\\|*]", r"\\\g<0>", " ".join(value.split()))
        return value.replace("<", "&lt;")

    head = " | ".join(cell(n) for n in table.names)
    rule = "|".join("---:" if numeric(c, table) else ":---" for c in table.columns)
    lines = [f"| {head} |", f"|{rule}|"]
    for row in table.rows:
        cells = [(shown(row.cells.get(c.name), c), c.kind) for c in table.columns]
        words = (f"`{t}`" if t and kind == "meter" else cell(t) for t, kind in cells)
        lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def rows(table: Table) -> list[dict[str, Cell]]:
    """Plain dicts; a score also as `name (std)` and `name (n)` where runs were averaged."""
    # all rows alike: a table has the same columns in each
    several = any(isinstance(c, Measured) and c.n > 1 for r in table.rows for c in r.cells.values())
    lines = []
    for row in table.rows:
        line: dict[str, Cell] = {}
        for column in table.columns:
            cell = row.cells.get(column.name)
            if column.kind != "score":
                line[column.name] = cell
                continue
            score = cell if isinstance(cell, Measured) else None
            line[column.name] = score and score.mean
            if several:
                line.setdefault(f"{column.name} (std)", score and score.std)
                line.setdefault(f"{column.name} (n)", score and score.n)
        lines.append(line)
    return lines


def as_csv(table: Table) -> str:
    """RFC 4180 with plain line ends; a text that a spreadsheet would run is quoted with '."""
    lines = rows(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(lines[0]) if lines else table.names
    writer.writerow(map(_inert, names))
    for line in lines:
        writer.writerow([_inert(line[n]) for n in names])
    return out.getvalue()


def _inert(cell: Cell) -> Cell:
    # every digit: repr is the shortest text that reads back as the same number
    if isinstance(cell, float):
        return repr(cell)
    if isinstance(cell, list | tuple | dict | bool):
        cell = plain(cell)
    # a spreadsheet would take it for a formula
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell
    return cell


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: "\\" + c for c in "&%$#_{}"
}


def latex(table: Table) -> str:
    """A booktabs table; the bar is left out, as no printed table needs it."""
    table = for_people(table)
    columns = [c for c in table.columns if c.kind != "meter"]

    def escape(value: str) -> str:
        return "".join(LATEX.get(c, c) for c in value)

    def cell(value: Cell, column: Column) -> str:
        text = shown(value, column)
        if isinstance(value, Measured):
            # in braces: LaTeX sets a bare comma with a space behind it
            return "$" + text.replace("±", r"\pm").replace(",", "{,}") + "$"
        return escape(text)

    spec = "".join("r" if numeric(c, table) else "l" for c in columns)
    lines = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule"]
    lines.append(" & ".join(escape(c.name) for c in columns) + r" \\")
    lines.append(r"\midrule")
    for row in table.rows:
        lines.append(" & ".join(cell(row.cells.get(c.name), c) for c in columns) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def as_json(table: Table) -> str:
    return json.dumps({"columns": table.names, "rows": rows(table)}, indent=1, default=str) + "\n"


FORMATS = {"text": text, "markdown": markdown, "csv": as_csv, "json": as_json, "latex": latex}


def render(table: Table, form: str) -> str:
    """The table in one of `FORMATS`. ConfigError for another name."""
    if form not in FORMATS:
        raise ConfigError(f"expected a format of {', '.join(FORMATS)}, received {form!r}")
    return FORMATS[form](table)
