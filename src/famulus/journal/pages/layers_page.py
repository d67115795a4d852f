"""The layers of a run as rows of bars: gradient, update over weight, spread of the output.

Bars show the newest sample on a logarithmic axis that all layers share; the thin line spans all
samples, and the curve beside it runs over them.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from famulus.journal.facts.layers import LayerHistory
from famulus.journal.facts.numbers import figure, percent
from famulus.journal.pages.axes import path, tick_label

WIDTH, HEIGHT = 72, 12  # of a bar
SPARK = 48  # width of a curve
DECADES = 12  # at most, on one axis: what is smaller lies at its left end


@dataclass(frozen=True)
class Axis:
    """Powers of ten from `low` to `high` over the width of a bar."""

    low: int
    high: int

    def x(self, value: float, width: int = WIDTH) -> float:
        share = (math.log10(max(value, 1e-300)) - self.low) / (self.high - self.low)
        return width * min(1.0, max(0.0, share))


def axis_of(values_PL: np.ndarray) -> Axis:
    """Whole decades around all positive values."""
    positive = values_PL[np.isfinite(values_PL) & (values_PL > 0)]
    if not len(positive):
        return Axis(-1, 0)
    # a power of ten itself, give or take rounding, needs no further decade
    high = math.ceil(math.log10(positive.max()) - 1e-9)
    low = math.floor(math.log10(positive.min()) + 1e-9)
    # one decade at least: an axis without width divides by 0
    return Axis(max(min(low, high - 1), high - DECADES), high)


def bar(values_P: np.ndarray, axis: Axis, colour: int) -> Markup:
    """The newest value as a bar, all of them as a line; nothing where none was measured."""
    positive = values_P[np.isfinite(values_P) & (values_P > 0)]
    last = values_P[-1]
    if not len(positive) or not np.isfinite(last):
        return Markup()
    grid = "".join(f"M{axis.x(10.0**e):.1f} 0V{HEIGHT}" for e in range(axis.low, axis.high + 1))
    ends = axis.x(positive.min()), axis.x(positive.max())
    return Markup(
        f'<svg class="layer c{colour}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<path class="g" d="{grid}"/>'
        f'<rect width="{axis.x(last) if last > 0 else 0:.1f}" y="2" height="{HEIGHT - 4}"/>'
        f'<path class="w" d="M{ends[0]:.1f} {HEIGHT / 2}H{ends[1]:.1f}"/></svg>'
    )


def spark(values_P: np.ndarray, axis: Axis) -> Markup:
    """The values over the samples, one beside the other."""
    shown = np.flatnonzero(np.isfinite(values_P) & (values_P > 0))
    if len(shown) < 2:
        return Markup()
    xs = shown / max(1, len(values_P) - 1) * (SPARK - 2) + 1
    ys = [HEIGHT - 1 - axis.x(v, HEIGHT - 2) for v in values_P[shown]]
    return Markup(
        f'<svg class="layer over" viewBox="0 0 {SPARK} {HEIGHT}" aria-hidden="true">'
        f'<path d="{path(xs, ys)}"/></svg>'
    )


def rows(layers: LayerHistory) -> dict[str, Any]:
    """What the template of a run's page shows; axes as ('1e-6', '0.01')."""
    columns = {"grad": layers.values["grad"], "ratio": layers.ratio, "std": layers.values["std"]}
    axes = {key: axis_of(values) for key, values in columns.items()}
    made = []
    for n, name in enumerate(layers.names):
        row: dict[str, Any] = {"name": name, "type": layers.types[n], "numbers": layers.numbers[n]}
        row["trouble"] = trouble = layers.trouble(n)
        for colour, (key, values) in enumerate(columns.items()):
            row[key] = bar(values[:, n], axes[key], colour), figure(_known(values[-1, n]), 2)
        row["spark"] = spark(columns["ratio"][:, n], axes["ratio"])
        # frozen on purpose is no trouble
        row["bad"] = trouble not in ("", "frozen")
        row["shares"] = _shares(layers, n)
        made.append(row)
    return {
        "rows": made,
        "axes": {key: (_power(a.low), _power(a.high)) for key, a in axes.items()},
        "step": int(layers.step[-1]),
        "samples": len(layers.step),
        "more": layers.more,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _power(exponent: int) -> str:
    return tick_label(10.0**exponent)


def _shares(layers: LayerHistory, n: int) -> list[tuple[str, str]]:
    """(tone, words) of outputs that are zero, of units that are dead, of outputs in flat parts."""
    words = [("", "forward not called")] if layers.values["calls"][-1, n] == 0 else []
    tones = ("zeros", "", "zero"), ("dead", "bad", "dead"), ("saturated", "warn", "flat")
    for key, tone, word in tones:
        value = layers.values[key][-1, n]
        # less would be shown as 0.0 %
        if np.isfinite(value) and value >= 0.0005:
            words.append((tone, f"{percent(float(value))} {word}"))
    return words
