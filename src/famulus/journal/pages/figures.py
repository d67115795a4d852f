"""What the curves of a page show: traces, marks, baselines and forecasts, panel by panel.

`plot.py` draws them. Units: x in samples, steps or seconds; y in the score's unit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from famulus.diagnosis.figures import baseline
from famulus.journal.facts.curves import Event, Series
from famulus.journal.facts.decimate import lttb, min_max
from famulus.journal.facts.forecast import band
from famulus.journal.facts.group import Group
from famulus.journal.facts.record import Record
from famulus.journal.pages.axes import LARGE, SMALL
from famulus.journal.pages.panels import Layout

POINTS = 12_000  # of a page, shared by its series
# of what a log line holds beside the loss
TITLES = {
    "lr": "learning rate",
    "rate": "throughput (samples/s)",
    "wait": "fraction of time waiting for data",
    "grad_norm": "gradient norm, before clipping",
}
Band: TypeAlias = tuple[int, int, dict[str, list[float]]]  # panel, colour, `forecast.band`


@dataclass
class Trace:
    """One line: a series of one run in one panel."""

    panel: int
    group: int
    colour: int
    kind: str  # train | val
    label: str
    link: str
    series: Series


@dataclass
class Mark:
    """Something that happened: resumed, LR changed, rollback, growth."""

    panel: int
    group: int
    colour: int
    at: tuple[float, float, float]  # inputs, step, seconds
    text: str


@dataclass
class Figure:
    """All panels of a page, with one y axis."""

    panels: list[str]  # titles
    traces: list[Trace] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    floors: dict[int, list[tuple[float, str]]] = field(default_factory=dict)  # panel -> value, name
    bands: list[Band] = field(default_factory=list)
    score: str = ""

    own: bool = False  # each panel has its own y axis

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a panel."""
        return LARGE if len(self.panels) == 1 else SMALL

    def seen(self, panel: int | None = None) -> list[Trace]:
        """Traces that share the y axis of a panel (None: all)."""
        return [t for t in self.traces if not self.own or panel is None or t.panel == panel]

    def log(self, panel: int) -> bool:
        """Start on a log axis? Where all is positive and spans more than a factor of 8."""
        values = [t.series.value for t in self.seen(panel)]
        low = min((float(v.min()) for v in values), default=1.0)
        # below a factor of 8 a log axis only makes figures harder to read
        return low > 0 and max(float(v.max()) for v in values) / low > 8 if values else False


def train_series(record: Record, score: str) -> Series | None:
    """The training value that belongs to a score: train/<same name>, for a loss train/total."""
    name = score.removeprefix("val/")
    total = record.series.get("train/total") if name == "loss" else None
    series = total or record.series.get(f"train/{name}")
    return series if series is not None and len(series) else None


def figure_of(
    layout: Layout,
    score: str,
    label: Callable[[Group, Record], str],
    link: Callable[[Record], str],
) -> Figure:
    """Collects and decimates what the panels of `layout` show of `score`."""
    made = Figure([p.title for p in layout.panels], score=score)
    runs = sum(len(g.records) for p in layout.panels for g in p.groups) or 1
    # a page with hundreds of runs must stay as small as one with few
    most = {"train": max(40, POINTS * 6 // 10 // runs), "val": max(30, POINTS * 4 // 10 // runs)}
    for n, panel in enumerate(layout.panels):
        seen: dict[tuple, float] = {}
        for group in panel.groups:
            colour = layout.colour[group.key]
            for record in group.records:
                found = {"train": train_series(record, score), "val": record.series.get(score)}
                for kind, series in found.items():
                    if series is None or not len(series):
                        continue
                    thin = decimated(series, kind, min(most[kind], 700))
                    name = label(group, record)
                    made.traces.append(Trace(n, group.key, colour, kind, name, link(record), thin))
                made.marks += marks_of(record, n, group.key, colour)
                if score == "val/loss" and (ahead := band(record)):
                    made.bands.append((n, colour, ahead))
                for floor in record.floors:
                    if floor.get("score") in (score, score.removeprefix("val/")):
                        # three digits: cells with nearly the same floor share its line
                        key = (str(floor.get("means")), float(f"{float(floor['value']):.3g}"))
                        seen[key] = float(floor["value"])
        # of all cells in a panel
        if len(seen) <= 3:  # more would say which cell, and hide the curves
            levels = ((v, k[0]) for k, v in seen.items() if k[0] != "initial loss")
            made.floors[n] = [(value, baseline(means)) for value, means in levels]
    return made


def decimated(series: Series, kind: str, n: int) -> Series:
    """At most `n` points; spikes of a training trace survive."""
    # noise in training, a smooth line in validation: each keeps what matters there
    few = min_max(series.value, n) if kind == "train" else lttb(series.inputs, series.value, n)
    return Series(*(a[few] for a in (series.step, series.inputs, series.seconds, series.value)))


def marks_of(record: Record, panel: int, group: int, colour: int) -> list[Mark]:
    """A run's marks, resumed attempts among them; one without a time of its own gets that of the
    nearest point."""
    base = next((s for s in record.series.values() if len(s)), None)
    marks = []
    for mark in (*record.marks, *_resumed(record)):
        step, inputs = float(mark.get("step") or 0), mark.get("inputs")
        if base is None or step <= 0:
            continue
        near = int(np.argmin(np.abs(base.step - step)))
        inputs = float(base.inputs[near] if inputs is None else inputs)
        text = str(mark.get("text") or mark.get("what") or "")
        at = (inputs, step, float(base.seconds[near]))
        marks.append(Mark(panel, group, colour, at, text))
    return marks


def _resumed(record: Record) -> list[Event]:
    """A mark where each later attempt took the curve up again."""
    marks: list[Event] = []
    for n, (before, attempt) in enumerate(pairwise(record.attempts), start=2):
        how = "rolled back" if before.get("ended") == "rollback" else "resumed"
        if isinstance(attempt.get("start_from"), int):
            marks.append({"step": attempt["start_from"], "text": f"{how}, attempt {n}"})
    return marks


def run_figure(record: Record, score: str, most: int = 600) -> Figure:
    """All that one run measured, a panel a quantity: scores first, parts of the loss, then LR."""
    panels: dict[str, list[tuple[str, Series]]] = {}
    # what trains towards the score stands first also where nothing was validated
    first = (score, "train/total") if score == "val/loss" else (score,)
    kinds = ("val/", "train/")  # of what is beside it

    def place(key: str) -> tuple[bool, int, str]:
        kind = next((n for n, kind in enumerate(kinds) if key.startswith(kind)), len(kinds))
        return key not in first, kind, key

    for key in sorted(record.series, key=place):
        kind, _, name = key.rpartition("/")
        name = "loss" if key == "train/total" else name
        where = f"{name or key}" if kind in ("train", "val") else TITLES.get(key, key)
        panels.setdefault(where, []).append((kind or "val", record.series[key]))
    made = Figure(list(panels), score="value", own=True)
    for n, (name, found) in enumerate(panels.items()):
        if all(kind == "train" for kind, _ in found):
            found = [("val", series) for _, series in found]  # alone, it need not be thin
        for kind, series in sorted(found, key=lambda f: f[0]):
            thin = decimated(series, kind, min(most, POINTS // max(1, len(panels))))
            made.traces.append(Trace(n, 0, 0, kind, "", "", thin))
        made.marks += marks_of(record, n, 0, 0) if n == 0 else []
        floors = record.floors_of(name)
        made.floors[n] = [(float(f["value"]), baseline(str(f["means"]))) for f in floors]
    if score == "val/loss" and (ahead := band(record)):
        made.bands.append((0, 0, ahead))
    return made
