"""`famulus compare`: the results table of an experiment, or runs side by side."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from famulus.config.errors import ConfigError
from famulus.journal.facts.cells import cells_of
from famulus.journal.facts.changes import levels, show, varying
from famulus.journal.facts.expect import scores_of
from famulus.journal.facts.group import Group, axis_names
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
        losses = experiment.losses
        groups, axes, differing = cells.groups, cells.axes, []
        promised = scores_of(experiment.config.get("expect"))
    else:
        records = tuple(read_run(store.find(ref)) for ref in refs)
        groups = [Group(n, r.axes, (r,)) for n, r in enumerate(records)]
        differing, promised, losses = varying(records), set(), []
        axes = [a for a in axis_names(records) if len({show(r.axes.get(a)) for r in records}) > 1]
    for column in average:
        groups, axes = average_over(groups, axes, column)
    scores = score_names(records)
    ranked = ranking(records, scores, _known(score, scores) if score else "")
    table = build(groups, axes, ranked, scores, promised)
    if list(average):
        table = with_extremes(table)
    if differing:
        include = [*include, "run"]
    table = sort_rows(select(table, include, exclude), sort, hidden=table)
    if format == "json":
        body: dict[str, Any] = {"columns": table.names, "rows": rows(table)}
        body["ranked_by"] = asdict(ranked)
        if losses:
            body["parents_gone"] = losses
        if differing:
            body["differences"] = _differences(records, differing)
        if runs and (layers := layer_rows(records)):
            body["layers"] = layers
        return json.dumps(body, indent=1, default=str) + "\n"
    text = render(table, format)
    if format in ("text", "markdown") and len(groups) > 1:
        text += f"\n{ranked.legend}\n"
    if format in ("text", "markdown"):
        text += "".join(f"\n{line}\n" for line in losses)
    text += _settings(records, differing, format) if differing else ""
    return text + (_layers(records, format) if runs else "")


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
