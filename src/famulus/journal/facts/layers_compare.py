"""The layers of several runs side by side, for `famulus compare`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from famulus.journal.facts.layers import LayerHistory, common_samples, much
from famulus.journal.facts.record import Record
from famulus.journal.facts.table import Column, Row, Table

COLUMNS = (  # name, whether it is a share
    ("gradient", False),
    ("update/weight", False),
    ("output std", False),
    ("dead", True),
    ("saturated", True),
)


def layer_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One dict a layer: layer, type, differs (words), runs: {id: figures}, a missing one absent.

    At the newest step that all runs were sampled at; empty where fewer than two were.
    """
    probed = [(r.id, r.layers) for r in records if r.layers is not None]
    # one run has nothing beside it
    if len(probed) < 2:
        return []
    samples = common_samples([layers for _, layers in probed])
    pairs = zip(probed, samples, strict=True)
    by_run = {run: _figures(layers, sample) for (run, layers), sample in pairs}
    names = dict.fromkeys(name for figures in by_run.values() for name in figures)
    rows = []
    for name in names:
        runs = {run: figures[name] for run, figures in by_run.items() if name in figures}
        kind = next(iter(runs.values()))["type"]
        rows.append({"layer": name, "type": kind, "differs": _differs(runs, by_run), "runs": runs})
    return rows


def _figures(layers: LayerHistory, sample: int) -> dict[str, dict[str, Any]]:
    values = layers.values
    columns = values["grad"], layers.ratio, values["std"], values["dead"], values["saturated"]
    by_layer = {}
    for n, name in enumerate(layers.names):
        one: dict[str, Any] = {"type": layers.types[n], "step": int(layers.step[sample])}
        for (column, _), array in zip(COLUMNS, columns, strict=True):
            value = array[sample, n]
            one[column] = None if np.isnan(value) else float(value)
        by_layer[name] = one | {"trouble": layers.trouble(n, sample)}
    return by_layer


def _differs(runs: dict[str, dict[str, Any]], all_runs: dict[str, Any]) -> str:
    if len(runs) < len(all_runs):
        return "only in " + ", ".join(run[:6] for run in runs)
    words = []
    for column, share in COLUMNS:
        if apart := much((figures[column] for figures in runs.values()), share):
            words.append(f"{column} {apart}")
    troubles = {run: figures["trouble"] for run, figures in runs.items()}
    if len(set(troubles.values())) > 1:
        words += [f"{trouble} in {run[:6]}" for run, trouble in troubles.items() if trouble]
    return ", ".join(words)


def layer_table(records: Sequence[Record]) -> tuple[str, Table | None]:
    """(heading, table): columns of each figure for each run, then what differs much."""
    compared = layer_rows(records)
    if not compared:
        return "", None
    ids = list(dict.fromkeys(run for row in compared for run in row["runs"]))
    columns = [Column("layer", "text"), Column("type", "text")]
    columns += [Column(f"{name} {run[:6]}", "number") for name, _ in COLUMNS for run in ids]
    columns += [Column("differs much", "text")]
    rows = []
    for row in compared:
        cells = {"layer": row["layer"], "type": row["type"], "differs much": row["differs"]}
        for run, figures in row["runs"].items():
            cells |= {f"{name} {run[:6]}": figures[name] for name, _ in COLUMNS}
        rows.append(Row(cells))
    filled = tuple(c for c in columns if any(r.cells.get(c.name) not in (None, "") for r in rows))
    steps = {figures["step"] for row in compared for figures in row["runs"].values()}
    at = f"step {steps.pop():,}" if len(steps) == 1 else "the newest sample of each"
    return f"Layers at {at}", Table(filled, tuple(rows))
