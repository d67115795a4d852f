"""`famulus compare`: the results table of an experiment, or runs side by side."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from famulus.config.errors import ConfigError
from famulus.journal.facts.cells import cells_of
from famulus.journal.facts.changes import levels, show, varying
from famulus.journal.facts.expect import scores_of
from famulus.journal.facts.group import Group, axis_names, token
from famulus.journal.facts.layers_compare import layer_rows, layer_table
from famulus.journal.facts.ranking import ranking, score_names
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.journal.facts.runs import runs_of
from famulus.journal.facts.selection import average_over, select, with_extremes
from famulus.journal.facts.selection import sort as sort_rows
from famulus.journal.facts.table import build
from famulus.journal.pages.render import render, rows
from famulus.store.store import Store

COLUMNS = 6  # of settings that differ; the list below the table has all


def compare(
    store: Store,
    refs: list[str],
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sort: Iterable[str] = (),
    average: Iterable[str] = (),
    score: str | None = None,
    format: str = "text",
) -> str:
    """Table of one experiment (`refs` = its name) or of runs, which also lists what differs.

    include, exclude: parts of columns' names; sort: keys, `-` before or after descends;
    average: axes to average away, with min, max and std; score: the leading one.
    Raises ConfigError for an unknown column, StoreError for an unknown run.
    """
    if not refs:
        raise ConfigError("expected an experiment or runs, received nothing: see famulus status")
    groups: Sequence[Group]
    axes: Sequence[str]
    # an experiment's name wins over a run's: ids are hashes, names are chosen
    runs = not (len(refs) == 1 and refs[0] in store.experiments())
    if not runs:
        experiment = runs_of(store, refs[0])
        records, cells = experiment.records, cells_of(experiment.records)
        groups, axes, differing = cells.groups, cells.axes, []
        expected = scores_of([e["entry"] for e in experiment.expect if not e.get("withdrawn")])
    else:
        records = tuple(read_run(store.find(ref)) for ref in refs)
        differing, expected = varying(records), []
        records = tuple(_apart(records, differing))
        groups = [Group(n, r.axes, (r,)) for n, r in enumerate(records)]
        axes = [a for a in axis_names(records) if len({show(r.axes.get(a)) for r in records}) > 1]
    for column in average:
        groups, axes = average_over(groups, axes, column)
    scores = score_names(records)
    ranked = ranking(records, scores, _known(score, scores) if score else "", expected, runs)
    table = build(groups, axes, ranked, scores, expected)
    if list(average):
        table = with_extremes(table)
    if differing:
        include = [*include, "run"]
    table = sort_rows(select(table, include, exclude), sort, hidden=table)
    if format == "json":
        body: dict[str, Any] = {"columns": table.names, "rows": rows(table)}
        body["ranked_by"] = asdict(ranked)
        if differing:
            body["differences"] = _differences(records, differing)
        if runs and (layers := layer_rows(records)):
            body["layers"] = layers
        return json.dumps(body, indent=1, default=str) + "\n"
    text = render(table, format)
    if format in ("text", "markdown") and len(groups) > 1:
        text += f"\n{ranked.legend}\n"
    text += _settings(records, differing, format) if differing else ""
    return text + (_layers(records, format) if runs else "")


def _apart(records: Sequence[Record], differing: Sequence[str]) -> Iterator[Record]:
    """`records` with a column of each setting that differs and that no axis shows already."""
    columns = [[token(r.axes.get(a)) for r in records] for a in axis_names(records)]
    settings = {p: [(levels([r]).get(p) or [None])[0] for r in records] for p in differing}
    new = {p: v for p, v in settings.items() if [token(x) for x in v] not in columns}
    for n, record in enumerate(records):
        own = {p: values[n] for p, values in list(new.items())[:COLUMNS]}
        yield replace(record, axes={**record.axes, **own})


def _known(score: str, scores: list[str]) -> str:
    # the whole name wins: `loss` is a part of others
    matching = [s for s in scores if s == score] or [s for s in scores if score in s]
    if not matching:
        raise ConfigError(
            f"expected a score of {', '.join(scores) or 'none yet'}, received {score!r}"
        )
    return matching[0]


def _differences(records: Sequence[Record], paths: list[str]) -> dict[str, dict[str, Any]]:
    """Dotted path -> run id -> value, where the runs differ."""
    return {p: {r.id: (levels([r]).get(p) or [None])[0] for r in records} for p in paths}


def _settings(records: Sequence[Record], paths: list[str], form: str) -> str:
    """The differences as lines; nothing for CSV and LaTeX, which hold one table only."""
    # nothing but the table: what reads CSV expects columns
    if form not in ("text", "markdown"):
        return ""
    lines = []
    for path, values in _differences(records, paths).items():
        each = ", ".join(f"{run[:6]} {show(v)}" for run, v in values.items())
        lines.append(f"- `{path}`: {each}" if form == "markdown" else f"{path}: {each}")
    gap = "\n" if form == "markdown" else ""
    return f"\nSettings that differ\n{gap}" + "\n".join(lines) + "\n"


def _layers(records: Sequence[Record], form: str) -> str:
    """The layers side by side; nothing where one table is all that fits, or without probes."""
    heading, table = layer_table(records)
    if table is None or form not in ("text", "markdown"):
        return ""
    return f"\n{heading}\n\n" + render(table, form)
