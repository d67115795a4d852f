"""Curves as inline SVG: a good picture without a script, and data that a script can redraw.

Each panel is drawn for samples on the x axis. `figure_data` holds the decimated points of all
series for script.js, which redraws the same geometry over steps or seconds, linear or log, and as
wide as the page lets it, so that letters keep their size.

Units: x in samples, steps or seconds; y in the score's unit; SVG in its own pixels.
"""

from html import escape
from typing import Any

import numpy as np

from famulus.journal.pages.axes import (
    BOTTOM,
    DIGIT,
    FONT,
    LEFT,
    RIGHT,
    TOP,
    Frame,
    left_margin,
    path,
    tick_labels,
    ticks,
    x_axis,
    y_axis,
)
from famulus.journal.pages.figures import Band, Figure, Mark, Trace

WORDED, MARKS = 4, 200  # marks with words beside them, and marks drawn at all, in a panel
CLIP = 0.985  # share of values below the top when outliers are clipped
FLAT = 1e-5  # of its size: what varies less is drawn as constant
LETTER = 6.2  # pixels of a letter of words


def y_range(made: Figure, panel: int, clip: bool = True) -> tuple[float, float]:
    """Lowest and highest value shown; baselines are always inside. Always low < high."""
    log, values = made.log(panel), [t.series.value for t in made.seen(panel)]
    every = np.concatenate(values) if values else np.array([0.0, 1.0])
    # the logarithm of what is clipped away anyway
    every = every[every > 0] if log else every
    if not len(every):
        return (0.1, 1.0) if log else (0.0, 1.0)
    # the first values of a run are far above all others and would flatten the rest
    top = float(np.quantile(every, CLIP)) if clip else float(every.max())
    low = float(every.min())
    floors = [v for v in _levels(made, panel) if v > 0 or not log]
    low, top = min([low, *floors]), max([top, *floors])
    # rounding of a constant is no curve, and its ticks would need all digits
    flat = top - low <= FLAT * max(abs(low), abs(top))
    if log:
        return (low / 2, low * 2) if flat else (low / 1.08, top * 1.08)
    pad = (abs(low) * 0.1 or 1.0) if flat else (top - low) * 0.05
    return (low - pad if low < 0 or low - pad > 0 else 0.0), top + pad


def _levels(made: Figure, panel: int) -> list[float]:
    """Baselines that panel's axis holds: panels of one quantity have one axis."""
    panels = (made.floors.get(panel, []),) if made.own else made.floors.values()
    return sorted({value for floors in panels for value, _ in floors})


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

    The others keep theirs as a tooltip: a net that grows has dozens, and a fork has its parent's.
    """
    lines, top = [], TOP + 9.0
    for y in sorted(floors):  # their words stand just above their lines
        top = y + FONT + 1 if abs(y - top) < FONT + 5 else top
    rows: dict[tuple[float, str], int] = {}
    for mark in marks:
        rows.setdefault((mark.at[0], mark.text), len(rows))
    worded = {*range(WORDED), len(rows) - 1} if len(rows) > WORDED + 1 else {*range(len(rows))}
    for mark in marks[:MARKS]:
        row = rows[mark.at[0], mark.text]
        x = frame.x(mark.at[0])
        room = frame.right - x, x - frame.left
        side, dx = ("", 3) if room[0] >= room[1] else ("e", -3)
        at = " ".join(f"{v:.6g}" for v in mark.at)
        most = max(4, int(max(room) / LETTER))
        short = mark.text if len(mark.text) <= most else mark.text[: most - 1] + "…"
        short = short if row in worded else ""
        worded.discard(row)  # one of several at the same place says it
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
    floors = [_levels(made, n) for n in range(len(made.panels))]
    logs = [made.log(n) for n in range(len(made.panels))]
    bands = [
        {"p": p, "x": b["inputs"], "low": b["low"], "high": b["high"]} for p, _, b in made.bands
    ]
    data = {"score": made.score, "own": made.own, "log": logs, "box": box, "bands": bands}
    return data | {"floors": floors, "series": series}


def _ints(values: np.ndarray) -> list[int]:
    return [int(v) for v in values]
