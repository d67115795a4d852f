"""Axes of a plot: round ticks, labels that tell them apart, and where a value lies in pixels.

`script.js` has the same formulas: what it redraws over steps or time must look as what was printed.

Units: y in the score's unit, x in samples; pixels of the SVG, in which letters are `FONT` high.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from famulus.journal.facts.numbers import count

SMALL, LARGE = (320, 190), (720, 284)  # width and height: of one of several panels, of a single one
FONT, DIGIT = 11, 7  # height of letters, and width of a digit in the widest usual face
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 8, 34  # margins; the left one grows with its labels
EXACT = 0.01  # a label may lie so much of the way to the next tick off


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
    unit = next(size * m for m in (1, 2, 2.5, 5, 10) if raw <= size * m)
    start = math.ceil(low / unit - 1e-9)
    # a tick at the very end must not be lost to rounding
    return [k * unit for k in range(start, math.floor(high / unit + 1e-9) + 1)]


def tick_label(value: float, digits: int = 2) -> str:
    """`digits` significant ones, without zeros at the end: 0.05, 3.2e-4, 1.5 k."""
    rounded = float(f"{value:.{digits - 1}e}")
    if abs(rounded) >= 1000:
        return count(rounded, digits)
    text = f"{rounded:.12g}"
    if rounded == 0 or abs(rounded) >= 0.001 or (len(text) <= 6 and "e" not in text):
        return text
    mantissa, _, exponent = f"{rounded:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def tick_labels(values: Sequence[float]) -> list[str]:
    """With as many digits as tell the ticks apart and put each where it stands."""
    gap = min((b - a for a, b in pairwise(values)), default=math.inf)
    wrong = [1.0]
    for digits in range(2, 16):
        wrong = [abs(float(f"{v:.{digits - 1}e}") - v) for v in values]
        if max(wrong, default=0.0) <= EXACT * gap:
            break
    return [tick_label(v, digits) for v in values]


def left_margin(labels: Iterable[str]) -> int:
    """Pixels that the longest label of a y axis takes."""
    return max([LEFT, *(DIGIT * len(label) + 8 for label in labels)])


@dataclass(frozen=True)
class Frame:
    """From values to a panel's pixels."""

    size: tuple[int, int]
    end: float  # last value of the x axis
    span: tuple[float, float]  # of the y axis
    log: bool
    left: int = LEFT

    @property
    def right(self) -> int:
        return self.size[0] - RIGHT

    @property
    def base(self) -> int:
        return self.size[1] - BOTTOM

    def x(self, value: float) -> float:
        return self.left + (self.right - self.left) * value / (self.end or 1.0)

    def y(self, value: float) -> float:
        """Kept near the panel, so that a clipped outlier can't make a huge number."""
        low, high = (math.log(v) for v in self.span) if self.log else self.span
        # a value of 0 on a log axis lies at its bottom
        at = math.log(max(value, 1e-300)) if self.log else value
        share = min(1.5, max(-0.5, (at - low) / (high - low)))
        return TOP + (self.base - TOP) * (1 - share)


def y_axis(frame: Frame) -> str:
    """A line across and a label for each tick."""
    values = ticks(*frame.span, frame.log)
    grid = []
    for value, label in zip(values, tick_labels(values), strict=True):
        y = frame.y(value)
        grid.append(f'<path class="g" d="M{frame.left} {y:.1f}H{frame.right}"/>')
        grid.append(f'<text x="{frame.left - 5}" y="{y + 4:.1f}" class="e">{label}</text>')
    return f'<g class="y">{"".join(grid)}</g>'


def x_axis(frame: Frame, name: str) -> str:
    """The line at the bottom, a stroke and a label for each tick, the axis's name below."""
    values = ticks(0.0, frame.end or 1.0, False)
    marks = []
    for value, label in zip(values, tick_labels(values), strict=True):
        x = frame.x(value)
        # centred, a label at the very end would be cut
        side = "e" if x > frame.right - 12 else "c"
        at = frame.size[0] - 1 if side == "e" else x
        marks.append(f'<path class="a" d="M{x:.1f} {frame.base}v4"/>')
        marks.append(f'<text x="{at:.1f}" y="{frame.base + 15}" class="{side}">{label}</text>')
    line = f'<path class="a line" d="M{frame.left} {frame.base}H{frame.right}"/>'
    words = f'<text class="e name" x="{frame.right}" y="{frame.base + 29}">{name}</text>'
    return f'{line}<g class="x">{"".join(marks)}</g>{words}'


def path(xs: Iterable[float], ys: Iterable[float]) -> str:
    """SVG path data with one decimal."""
    # one decimal: a tenth of a pixel can't be seen, and a page has thousands of points
    points = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True)]
    return "M" + "L".join(points) if points else ""
