"""Curves as inline SVG: a good picture without a script, and data that a script can redraw.

Each panel is drawn for inputs on the x axis. `figure_data` holds the decimated points of all series
for script.js, which redraws the same geometry over steps or seconds, linear or log.

Units: x in inputs, steps or seconds; y in the score's unit; SVG in its own pixels.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from famulus.journal.facts.curves import Series
from famulus.journal.facts.decimate import lttb, min_max
from famulus.journal.facts.forecast import band
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import count
from famulus.journal.facts.record import Record
from famulus.journal.pages.panels import Layout

SMALL, LARGE = (320, 176), (720, 270)  # width and height: of one of several panels, of a single one
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 20
POINTS = 12_000  # of a page, shared by its series
WORDED, MARKS = 4, 200  # marks with words beside them, and marks drawn at all, in a panel
CLIP = 0.985  # share of values below the top when outliers are clipped


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
    bands: list[tuple[int, int, dict]] = field(default_factory=list)  # panel, colour, forecast
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
    """A run's marks; a mark without a time of its own gets that of the nearest point."""
    base = next((s for s in record.series.values() if len(s)), None)
    marks = []
    for mark in record.marks:
        step, inputs = float(mark.get("step") or 0), mark.get("inputs")
        if base is None or step <= 0:
            continue
        near = int(np.argmin(np.abs(base.step - step)))
        inputs = float(base.inputs[near] if inputs is None else inputs)
        text = str(mark.get("text") or mark.get("what") or "")
        at = (inputs, step, float(base.seconds[near]))
        marks.append(Mark(panel, group, colour, at, text))
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
    if log:
        # a constant curve still needs a range
        return (low / 1.08, top * 1.08) if top > low else (low / 2, low * 2)
    pad = (top - low) * 0.05 or abs(low) * 0.1 or 1.0
    return (low - pad if low < 0 or low - pad > 0 else 0.0), top + pad


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Two to six round values inside the range."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        # the coarsest that gives three: decades if there are enough
        for steps in ((1,), (1, 3), (1, 2, 5)):
            values = [m * 10.0**e for e in range(first, last + 1) for m in steps]
            values = [t for t in values if low <= t <= high]
            if len(values) >= 3:
                return values[:: max(1, len(values) // 5)]
        if len(values) == 2:
            return values
    raw = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(raw))
    unit = next(size * m for m in (1, 2, 5, 10) if raw <= size * m)
    start = math.ceil(low / unit)
    # a tick at the very end must not be lost to rounding
    return [k * unit for k in range(start, math.floor(high / unit + 1e-9) + 1)]


@dataclass(frozen=True)
class Frame:
    """From values to a panel's pixels."""

    size: tuple[int, int]
    end: float  # last value of the x axis
    span: tuple[float, float]  # of the y axis
    log: bool

    @property
    def right(self) -> int:
        return self.size[0] - RIGHT

    @property
    def base(self) -> int:
        return self.size[1] - BOTTOM

    def x(self, value: float) -> float:
        return LEFT + (self.right - LEFT) * value / (self.end or 1.0)

    def y(self, value: float) -> float:
        """Kept near the panel, so that a clipped outlier can't make a huge number."""
        low, high = (math.log(v) for v in self.span) if self.log else self.span
        # a value of 0 on a log axis lies at its bottom
        at = math.log(max(value, 1e-300)) if self.log else value
        share = min(1.5, max(-0.5, (at - low) / (high - low)))
        return TOP + (self.base - TOP) * (1 - share)


def path(xs: Iterable[float], ys: Iterable[float]) -> str:
    """SVG path data with one decimal."""
    # one decimal: a tenth of a pixel can't be seen, and a page has thousands of points
    points = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True)]
    return "M" + "L".join(points) if points else ""


def tick_label(value: float) -> str:
    """At most some six characters, so that it fits the margin: 0.05, 3e-4, 1.5 k."""
    if abs(value) >= 1000:
        return count(value)
    text = f"{float(f'{value:.2g}' if abs(value) < 100 else f'{value:.4g}'):g}"
    return text if len(text) <= 6 else f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def panel_svg(made: Figure, n: int, key: str, end: float) -> str:
    """Panel `n` as an SVG element; `key` makes its clip path's id unique on the page."""
    (width, height), log = made.size, made.log(n)
    frame = Frame(made.size, end, y_range(made, n), log)
    right, base, grid = frame.right, frame.base, []
    for value in ticks(*frame.span, log):
        y = frame.y(value)
        grid.append(f'<path class="g" d="M{LEFT} {y:.1f}H{right}"/>')
        grid.append(f'<text x="{LEFT - 5}" y="{y + 3:.1f}" class="e">{tick_label(value)}</text>')
    lines = [_band(band, colour, frame) for panel, colour, band in made.bands if panel == n]
    lines += [_line(t, k, frame) for k, t in enumerate(made.traces) if t.panel == n]
    clip = f'<clipPath id="{key}"><rect x="{LEFT}" y="0" width="{width - LEFT}" '
    clip += f'height="{base + 1}"/></clipPath>'
    floors = made.floors.get(n, [])
    notes = [_floor(v, name, frame) for v, name in floors]
    heights = [frame.y(v) for v, _ in floors]
    notes += _marks([m for m in made.marks if m.panel == n], frame, heights)
    axis = f'<path class="a" d="M{LEFT} {base}H{right}"/>'
    axis += f'<text class="x0" x="{LEFT}" y="{height - 6}">0</text>'
    axis += f'<text class="x1 e" x="{right}" y="{height - 6}">{count(end)} inputs</text>'
    name = escape(made.panels[n] or made.score)
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" data-p="{n}" role="img" tabindex="0" '
        f'aria-label="{name}: {escape(made.score)} over training">'
        f'{clip}<g class="y">{"".join(grid)}</g><g clip-path="url(#{key})">{"".join(lines)}</g>'
        f'<g class="n">{"".join(notes)}</g>{axis}</svg>'
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


def _floor(value: float, name: str, frame: Frame) -> str:
    y = frame.y(value)
    return (
        f'<path class="f" data-y="{value!r}" d="M{LEFT} {y:.1f}H{frame.right}"/>'
        f'<text class="e f" data-y="{value!r}" x="{frame.right}" y="{y - 3:.1f}">'
        f"{escape(name)}</text>"
    )


def _marks(marks: list[Mark], frame: Frame, floors: list[float]) -> list[str]:
    """Dotted uprights; words beside the first few, one below the other, and beside the last.

    The others keep theirs as a tooltip: a net that grows has dozens.
    """
    found, top = [], TOP + 8.0
    for y in sorted(floors):  # their words stand just above their lines
        top = y + 11 if abs(y - top) < 14 else top
    worded = {*range(WORDED), len(marks) - 1} if len(marks) > WORDED + 1 else {*range(len(marks))}
    for row, mark in enumerate(marks[:MARKS]):
        x = frame.x(mark.at[0])
        side, dx = ("", 3) if x < frame.size[0] * 0.6 else ("e", -3)
        at = " ".join(f"{v:.6g}" for v in mark.at)
        short = mark.text if len(mark.text) <= 34 else mark.text[:33] + "…"
        short = short if row in worded else ""
        found.append(
            f'<g class="m" data-at="{at}" transform="translate({x:.1f} 0)">'
            f'<title>{escape(mark.text)}</title><path d="M0 {TOP}V{frame.base}"/>'
            f'<text class="{side}" x="{dx}" y="{top + 10 * (row % 5):.1f}">'
            f"{escape(short)}</text></g>"
        )
    return found


def _band(band: dict, colour: int, frame: Frame) -> str:
    """A forecast: `inputs`, `low`, `high` lists; drawn over inputs only."""
    xs, low, high = (list(band.get(k) or []) for k in ("inputs", "low", "high"))
    if not xs or not len(xs) == len(low) == len(high):
        return ""
    d = path(map(frame.x, [*xs, *xs[::-1]]), map(frame.y, [*low, *high[::-1]]))
    return f'<path class="b c{colour}" d="{d}Z"/>'


def render_panels(made: Figure, prefix: str = "p") -> list[tuple[str, str]]:
    """(title, SVG) of each panel, all with the same axes."""
    end = x_end(made)
    return [(title, panel_svg(made, n, f"{prefix}{n}", end)) for n, title in enumerate(made.panels)]


def x_end(made: Figure) -> float:
    """Last input of any trace or forecast."""
    ends = [float(t.series.inputs[-1]) for t in made.traces]
    ends += [float(max(b.get("inputs") or [0])) for _, _, b in made.bands]
    return max(ends, default=1.0)


def figure_data(made: Figure) -> dict[str, Any]:
    """What script.js needs: points by column, steps as a ratio of inputs where that is exact."""
    series = []
    for t in made.traces:
        s = t.series
        one = {"p": t.panel, "g": t.group, "c": t.colour, "k": t.kind[0], "n": t.label}
        one |= {"u": t.link, "x": _ints(s.inputs), "y": [float(f"{v:.4g}") for v in s.value]}
        ratio = s.inputs[-1] / s.step[-1] if s.step[-1] else 0
        # most runs have one batch size: half of the numbers need not be written
        exact = ratio and np.array_equal(s.step * ratio, s.inputs)
        one |= {"r": float(ratio)} if exact else {"st": _ints(s.step)}
        one["s"] = [float(f"{v:.5g}") for v in s.seconds]
        series.append(one)
    width, height = made.size
    box = {"w": width, "h": height, "l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM, "q": CLIP}
    floors = sorted({v for f in made.floors.values() for v, _ in f})
    logs = [made.log(n) for n in range(len(made.panels))]
    found = {"score": made.score, "own": made.own, "log": logs, "box": box}
    return found | {"floors": floors, "series": series}


def _ints(values: np.ndarray) -> list[int]:
    return [int(v) for v in values]


def run_figure(record: Record, score: str, most: int = 600) -> Figure:
    """All that one run measured, a panel a quantity: scores first, parts of the loss, then LR."""
    panels: dict[str, list[tuple[str, Series]]] = {}
    names = sorted(record.series, key=lambda k: (k != score, not k.startswith("val/"), k))
    for key in names:
        kind, _, name = key.rpartition("/")
        name = "loss" if key == "train/total" else name
        where = f"{name or key}" if kind in ("train", "val") else key
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
