"""The results table of an entry's page: rows with colours, links and a meter, and its caption."""

from collections.abc import Mapping
from typing import Any

from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.numbers import plain, with_spread
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.table import Cell, Column, Measured, Table, settled, value
from famulus.journal.pages.parts import TONES
from famulus.journal.pages.render import numeric, shown


def result_rows(table: Table, colour: Mapping[int, int]) -> list[dict[str, Any]]:
    """What the template shows of each row; `colour` by the key of a group."""
    # a run under way may yet be better or worse: it is not marked as best
    scores = [value(r.cells.get(table.score)) for r in table.rows if r.ranked]
    known = [v for v in scores if v is not None]
    # the best of one is no news
    top = table.ranking.best(known) if len(known) > 1 else None
    lines = []
    for row in table.rows:
        cells = [_cell(row.cells.get(c.name), c, table) for c in table.columns]
        for cell, column in zip(cells, table.columns, strict=True):
            cell["tone"] = "soft" if column.kind == "score" and not settled(row) else cell["tone"]
        first, score = row.records[0], value(row.cells.get(table.score))
        learned = any(r.learning.verdict is not False for r in row.records)
        best = top is not None and row.ranked and score == top and learned
        href = "runs/" + names.run_page(first)
        lines.append({"group": row.group, "colour": colour.get(row.group, 7), "best": best,
                      "href": href, "name": first.name, "cells": cells})  # fmt: skip
    return lines


def _cell(cell: Cell, column: Column, table: Table) -> dict[str, Any]:
    number = value(cell)
    if isinstance(cell, Measured):
        (text, spread), words = with_spread(cell.mean, cell.std), ""
    else:
        text, spread, words = shown(cell, column), "", plain(cell)
    tone = next((t for s, t in TONES.items() if s in text), "") if column.name == "status" else ""
    return {"text": text, "pm": spread, "meter": cell if column.kind == "meter" else None,
            "tone": tone, "right": numeric(column, table), "axis": column.kind == "axis",
            "v": repr(number) if number is not None else words or None}  # fmt: skip


def caption(cells: Cells, ranking: Ranking) -> str:
    """How the cells are ranked, and over how many replicates they are means."""
    legend = f" · {ranking.legend}" if len(cells.own) > 1 else ""
    if max(cells.replicates, default=0) > 1:
        n = plain(min(cells.replicates)) if len(cells.replicates) == 1 else "several"
        return f" · mean ± standard deviation of {n} replicates{legend}"
    return legend
