"""Curves as inline SVG: a good picture without a script, and data that a script can redraw.

Each panel is drawn for samples on the x axis. `figure_data` holds the decimated points of all
series for script.js, which redraws the same geometry over steps or seconds, linear or log, and as
wide as the page lets it, so that letters keep their size.

Units: x in samples, steps or seconds; y in the score's unit; SVG in its own pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from famulus.journal.facts.curves import Event, Series
from famulus.journal.facts.decimate import lttb, min_max
from famulus.journal.facts.forecast import band
from famulus.journal.facts.group import Group
from famulus.journal.facts.record import Record
from famulus.journal.pages.axes import (
    BOTTOM,
    DIGIT,
    FONT,
    LARGE,
    LEFT,
    RIGHT,
    SMALL,
    TOP,
    Frame,
    left_margin,
    path,
    tick_labels,
    ticks,
    x_axis,
    y_axis,
)
from famulus.journal.pages.panels import Layout

POINTS = 12_000  # of a page, shared by its series
WORDED, MARKS = 4, 200  # marks with words beside them, and marks drawn at all, in a panel
# of what a log line holds beside the loss
TITLES = {
    "lr": "learning rate",
    "rate": "throughput (samples/s)",
    "wait": "fraction of time waiting for data",
    "grad_norm": "gradient norm, before clipping",
}
CLIP = 0.985  # share of values below the top when outliers are clipped
FLAT = 1e-5  # of its size: what varies less is drawn as constant
LETTER = 6.2  # pixels of a letter of words


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
            made.floors[n] = [(v, k[0]) for k, v in seen.items() if k[0] != "initial loss"]
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


def y_range(made: Figure, panel: int, clip: bool = True) -> tuple[float, float]:
    """Lowest and highest value shown; shared floors are always inside. Always low < high."""
    log, values = made.log(panel), [t.series.value for t in made.seen(panel)]
    every = np.concatenate(values) if values else np.array([0.0, 1.0])
    # the logarithm of what is clipped away anyway
    every = every[every > 0] if log else every
    if not len(every):
        return (0.1, 1.0) if log else (0.0, 1.0)
    # the first values of a run are far above all others and would flatten the rest
    top = float(np.quantile(every, CLIP)) if clip else float(every.max())
    low = float(every.min())
    floors = [v for f in made.floors.values() for v, _ in f if (v > 0 or not log)]
    floors = [] if made.own else floors
    low, top = min([low, *floors]), max([top, *floors])
    # rounding of a constant is no curve, and its ticks would need all digits
    flat = top - low <= FLAT * max(abs(low), abs(top))
    if log:
        return (low / 2, low * 2) if flat else (low / 1.08, top * 1.08)
    pad = (abs(low) * 0.1 or 1.0) if flat else (top - low) * 0.05
    return (low - pad if low < 0 or low - pad > 0 else 0.0), top + pad


def panel_svg(made: Figure, n: int, key: str, end: float, left: int) -> str:
    """Panel `n` as an SVG element; `key` makes its clip path's id unique on the page."""
    frame = Frame(made.size, end, y_range(made, n), made.log(n), left)
    width, height = made.size
    lines = [_band(band, k, frame) for k, band in enumerate(made.bands) if band[0] == n]
    lines += [_line(t, k, frame) for k, t in enumerate(made.traces) if t.panel == n]
    clip = f'<clipPath id="{key}"><rect x="{left}" y="0" width="{width - left}" '
    clip += f'height="{frame.base + 1}"/></clipPath>'
    floors = made.floors.get(n, [])
    notes = _floors(floors, frame)
    heights = [frame.y(v) for v, _ in floors]
    notes += _marks([m for m in made.marks if m.panel == n], frame, heights)
    name = escape(made.panels[n] or made.score)
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" data-p="{n}" role="img" tabindex="0" '
        f'aria-label="{name}: {escape(made.score)} over training">'
        f'{clip}{y_axis(frame)}<g clip-path="url(#{key})">{"".join(lines)}</g>'
        f'<g class="n">{"".join(notes)}</g>{x_axis(frame, "samples")}</svg>'
    )


def _line(trace: Trace, number: int, frame: Frame) -> str:
    """One curve; a single point is a dot."""
    s = trace.series
    d = path(map(frame.x, s.inputs), map(frame.y, s.value))
    dot = len(s) == 1
    return (
        f'<path class="{trace.kind[0]} c{trace.colour}{" o" if dot else ""}" data-s="{number}" '
        f'data-g="{trace.group}" d="{d}{"h.01" if dot else ""}"/>'
    )


def _floors(floors: list[tuple[float, str]], frame: Frame) -> list[str]:
    """Dashed lines; words above each, and for those too near to each other above the top one."""
    drawn: list[str] = []
    named: list[tuple[float, float, list[str]]] = []  # y, value, names
    for value, name in sorted(floors, key=lambda floor: frame.y(floor[0])):
        y = frame.y(value)
        drawn.append(
            f'<path class="f" data-y="{value!r}" d="M{frame.left} {y:.1f}H{frame.right}"/>'
        )
        if named and y - named[-1][0] < FONT + 1:
            named[-1][2].append(name)
        else:
            named.append((y, value, [name]))
    for y, value, names in named:
        # above its line, unless that is the top one
        at = y - 3 if y - 3 > FONT else y + FONT
        words = escape(", ".join(dict.fromkeys(names)))
        text = f'<text class="e f" data-y="{value!r}" x="{frame.right}" y="{at:.1f}">{words}</text>'
        drawn.append(text)
    return drawn


def _marks(marks: list[Mark], frame: Frame, floors: list[float]) -> list[str]:
    """Dotted uprights; words beside the first few, one below the other, and beside the last.

    The others keep theirs as a tooltip: a net that grows has dozens.
    """
    lines, top = [], TOP + 9.0
    for y in sorted(floors):  # their words stand just above their lines
        top = y + FONT + 1 if abs(y - top) < FONT + 5 else top
    worded = {*range(WORDED), len(marks) - 1} if len(marks) > WORDED + 1 else {*range(len(marks))}
    for row, mark in enumerate(marks[:MARKS]):
        x = frame.x(mark.at[0])
        room = frame.right - x, x - frame.left
        side, dx = ("", 3) if room[0] >= room[1] else ("e", -3)
        at = " ".join(f"{v:.6g}" for v in mark.at)
        most = max(4, int(max(room) / LETTER))
        short = mark.text if len(mark.text) <= most else mark.text[: most - 1] + "…"
        short = short if row in worded else ""
        lines.append(
            f'<g class="m" data-at="{at}" transform="translate({x:.1f} 0)">'
            f'<title>{escape(mark.text)}</title><path d="M0 {TOP}V{frame.base}"/>'
            f'<text class="{side}" x="{dx}" y="{top + (FONT + 1) * (row % 5):.1f}">'
            f"{escape(short)}</text></g>"
        )
    return lines


def _band(band: Band, number: int, frame: Frame) -> str:
    """A forecast, drawn over samples only."""
    _, colour, ahead = band
    xs, low, high = (ahead[k] for k in ("inputs", "low", "high"))
    d = path(map(frame.x, [*xs, *xs[::-1]]), map(frame.y, [*low, *high[::-1]]))
    return f'<path class="b c{colour}" data-b="{number}" d="{d}Z"/>'


def render_panels(made: Figure, prefix: str = "p") -> list[tuple[str, str]]:
    """(title, SVG) of each panel, all with the same axes."""
    end, panels = x_end(made), range(len(made.panels))
    spans = [(*y_range(made, n), made.log(n)) for n in panels]
    # one margin for all: panels beside each other line up
    left = left_margin(label for span in spans for label in tick_labels(ticks(*span)))
    return [(made.panels[n], panel_svg(made, n, f"{prefix}{n}", end, left)) for n in panels]


def x_end(made: Figure) -> float:
    """Last input of any trace or forecast."""
    ends = [float(t.series.inputs[-1]) for t in made.traces]
    ends += [float(max(b["inputs"])) for _, _, b in made.bands]
    return max(ends, default=1.0)


def figure_data(made: Figure) -> dict[str, Any]:
    """What script.js needs: points by column, steps as a ratio of inputs where that is exact."""
    series = []
    for t in made.traces:
        s = t.series
        one = {"p": t.panel, "g": t.group, "c": t.colour, "k": t.kind[0], "n": t.label}
        one |= {"u": t.link, "x": _ints(s.inputs), "y": [float(f"{v:.6g}") for v in s.value]}
        ratio = s.inputs[-1] / s.step[-1] if s.step[-1] else 0
        # most runs have one batch size: half of the numbers need not be written
        exact = ratio and np.array_equal(s.step * ratio, s.inputs)
        one |= {"r": float(ratio)} if exact else {"st": _ints(s.step)}
        one["s"] = [float(f"{v:.5g}") for v in s.seconds]
        series.append(one)
    width, height = made.size
    box = {"w": width, "h": height, "l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM, "q": CLIP}
    box |= {"flat": FLAT, "font": FONT, "digit": DIGIT, "letter": LETTER}
    floors = sorted({v for f in made.floors.values() for v, _ in f})
    logs = [made.log(n) for n in range(len(made.panels))]
    bands = [
        {"p": p, "x": b["inputs"], "low": b["low"], "high": b["high"]} for p, _, b in made.bands
    ]
    data = {"score": made.score, "own": made.own, "log": logs, "box": box, "bands": bands}
    return data | {"floors": floors, "series": series}


def _ints(values: np.ndarray) -> list[int]:
    return [int(v) for v in values]


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
        made.floors[n] = [(float(f["value"]), str(f["means"])) for f in record.floors_of(name)]
    if score == "val/loss" and (ahead := band(record)):
        made.bands.append((0, 0, ahead))
    return made
