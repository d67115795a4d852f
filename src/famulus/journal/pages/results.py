"""The results table of an entry's page: rows with colours, links and a bar, and its caption."""

from collections.abc import Mapping, Sequence
from typing import Any

from famulus.journal.facts import names
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.numbers import plain, with_spread
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.table import Cell, Column, Measured, Table, settled, value
from famulus.journal.pages.parts import TONES
from famulus.journal.pages.render import numeric, shown

FORKED = "samples and time of a fork count those of the run that it was forked from"


def result_rows(table: Table, colour: Mapping[int, int]) -> list[dict[str, Any]]:
    """What the template shows of each row; `colour` by the key of a group."""
    # a run under way may yet be better or worse: it is not marked as best
    scores = [value(r.cells.get(table.score)) for r in table.rows if r.ranked]
    known = [v for v in scores if v is not None]
    # the best of one is no news
    top = table.ranking.best(known) if len(known) > 1 else None
    right = {c.name: numeric(c, table) for c in table.columns}
    lines = []
    for row in table.rows:
        cells = [_cell(row.cells.get(c.name), c, right[c.name]) for c in table.columns]
        for cell, column in zip(cells, table.columns, strict=True):
            cell["tone"] = "soft" if column.kind == "score" and not settled(row) else cell["tone"]
        first, score = row.records[0], value(row.cells.get(table.score))
        learned = any(r.learning.verdict is not False for r in row.records)
        best = top is not None and row.ranked and score == top and learned
        href = "runs/" + names.run_page(first)
        lines.append({"group": row.group, "colour": colour.get(row.group, 7), "best": best,
                      "href": href, "name": first.name, "cells": cells})  # fmt: skip
    return lines


def _cell(cell: Cell, column: Column, right: bool) -> dict[str, Any]:
    number = value(cell)
    if isinstance(cell, Measured):
        (text, spread), words = with_spread(cell.mean, cell.std), ""
    else:
        text, spread, words = shown(cell, column), "", plain(cell)
    tone = next((t for s, t in TONES.items() if s in text), "") if column.name == "status" else ""
    return {"text": text, "pm": spread, "meter": cell if column.kind == "meter" else None,
            "tone": tone, "right": right, "axis": column.kind == "axis",
            "v": repr(number) if number is not None else words or None}  # fmt: skip


def legend(ranking: Ranking) -> str:
    """How cells are ranked and which way their bars go, or why they are not ranked."""
    return ranking.legend + ("; the longest bar is the best" if ranking.better else "")


def caption(cells: Cells, ranking: Ranking, losses: Sequence[str] = ()) -> str:
    """How the cells are ranked, over how many replicates they are means, whose time is told.

    `losses`: of forks, whose parents are gone.
    """
    parts = []
    if max(cells.replicates, default=0) > 1:
        n = plain(min(cells.replicates)) if len(cells.replicates) == 1 else "several"
        parts.append(f"mean ± standard deviation of {n} replicates")
    if len(cells.groups) > 1:
        parts.append(legend(ranking))
    if any(r.inherited_seconds for g in cells.groups for r in g.records):
        parts.append(FORKED)
    return " · ".join([*parts, *losses])
