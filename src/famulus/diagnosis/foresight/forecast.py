"""Where a validation loss will end, told from the first part of its curve and the schedule.

A plain power law in inputs fails under a cosine: the rate falls away while the law goes on. Here
progress is measured in the summed learning rate S(n) = integral of rate over inputs, as in the
laws of Tissue et al. 2024 (arXiv 2408.11029) and Luo et al. 2025 (arXiv 2503.12811). Around the
cut-off c the curve gives its level, its slope b = -d ln L / d ln S and its fall D so far; with
R = ln S(end) / S(c) and q = 1 - exp(-R) the fall still to come is

    ln L(c) / L(end) = k0 bR + k1 (bR)^2 + k2 D q + k3 A,

where A is the drop of the rate from c to the end, in units of its peak. Every term vanishes at the
end. What a net learns after it has left the score of the best constant answer is not in a curve
that still stands there: with w = 1 at or above that score, 0 at half of it, linear in ln L between,
`constant` w q more is to fall, and the interval is wider. It is wider for few points, too. What
even such an interval can't hold is refused, with the reason. Where validation stands still while
training falls, it is validation that is believed (`_follows`).

Units: n in inputs; L in the loss's own unit, positive; b, D, R, q, A, w have none.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.schedule import Rate

Points = Sequence[tuple[float, float]]  # (inputs, value), ascending

LEVEL = 0.8
EARLIEST = 0.02  # share of the budget
POINTS = 2
WIDEST = 12.0  # high / low of an interval that still says something
SLOW = 0.1  # -d ln L / d ln S of a curve that hardly falls
STILL = 0.01  # scatter of ln of a validation, where two can't tell
STEEPEST = 3.6  # bR beyond the curves that the settings come from
GRID = 2000
BINS = 24
Z80 = 1.2816  # half width of a normal 80 % interval in sd


@dataclass(frozen=True)
class Settings:
    """`fall`: k0..k3. The error of ln L(end) is the root of the summed squares of noise,
    spread_q q, spread_fall times the fall by k, spread_constant w q and spread_points q / number
    of points, times a number whose 10 % and 90 % quantiles are `low` and `high`."""

    fall: tuple[float, ...]
    spread_q: float
    spread_fall: float
    low: float
    high: float
    constant: float = 0.0
    spread_constant: float = 0.0
    spread_points: float = 0.0


# Fitted by robust least squares to 199 runs made for this: autoencoders, VAEs and classifiers of
# 5 to 80 thousand weights on digits, MNIST, Fashion-MNIST, tiles and noise at 8x8 to 16x16; 184 of
# 800 to 2,600 steps and 15 of 5,000 to 14,000, which count five times; constant, cosine, linear and
# step rates over a factor of 10; Adam and SGD. Held out by group (6 of 18 at a time, 8 times), at
# 5 to 10 % of a run: median error 18 %, .26 of that of "the last value stays" (.21 to .30), 85 % of
# the ends inside the interval (76 to 91 %). Terms in q or R alone fitted the short runs better and
# the long ones worse than no forecast: how long a run is says nothing of how far it still falls.
# The last three come from one half of this project's experiments, by a hash of their names (docs/
# tiles.md has both halves): 133 cut-offs of validation and training curves from 24 experiments.
SETTINGS = Settings(
    (0.7229, -0.15, -0.0797, 0.1401), 0.16, 0.2, -3.189, 1.333,
    constant=0.4, spread_constant=0.4, spread_points=0.6,
)  # fmt: skip


@dataclass(frozen=True)
class Forecast:
    """The validation loss at the end, and the interval that should hold it in `level` of cases."""

    value: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Refusal:
    """Why no figure would be honest."""

    reason: str


@dataclass(frozen=True)
class _Start:
    """What the curve so far says; the letters are those of the module."""

    level: float  # ln of the validation loss at the cut-off, smoothed
    fall_terms: np.ndarray
    q: float
    noise: float  # sd of ln of one validation
    progress: float  # D
    progress_noise: float
    points: int
    follows: float  # share of the fall that validation takes part in


def forecast(
    history_val: Points,
    rate: Rate,
    budget_inputs: float,
    noise_floor: float | None = None,
    *,
    train: Points = (),
    constant: float | None = None,
    changes_ahead: str | None = None,
    settings: Settings = SETTINGS,
) -> Forecast | Refusal:
    """The last validation loss of a run that is at the last of its points.

    `train`, the denser curve, gives the shape when it has more points; validation gives the level.
    `noise_floor` is the relative sd between replicates, where known: the interval is never
    tighter. `constant` is what the best constant answer scores, where known. `changes_ahead` names
    a change to come that no curve shows (growth, unfreezing).
    """
    if changes_ahead:
        return Refusal(f"{changes_ahead} lies ahead, which the curve so far can't show")
    val, dense = clean(history_val), clean(train)
    if not len(val):
        return Refusal("no validation yet")
    now = max(val[-1, 0], dense[-1, 0] if len(train) else 0.0)
    if now >= budget_inputs:
        return Refusal("the budget is spent: the last value is the end")
    if now < EARLIEST * budget_inputs:
        return Refusal(f"only {now / budget_inputs:.1%} of the run: expected {EARLIEST:.0%}")
    shape = dense if len(train) > len(val) else val
    if len(shape) < POINTS:
        return Refusal(f"only {len(shape)} points of a curve: expected {POINTS}")
    if min(val[:, 1].min(), shape[:, 1].min()) <= 0:
        return Refusal("the loss is not positive throughout: the law holds for ln of it")
    start = _start(val, shape, rate, now, budget_inputs)
    if isinstance(start, Refusal):
        return start
    near = _near(start.level, constant) if constant and constant > 0 else None
    if near != 0 and start.progress < max(0.01, 2 * start.progress_noise):
        return Refusal("the loss has not begun to fall: a plateau does not say when it ends")
    fall = start.follows * float(start.fall_terms @ np.array(settings.fall))
    noise = max(start.noise, noise_floor or 0.0)
    held = (near or 0.0) * start.q
    sd = math.hypot(
        noise,
        settings.spread_q * start.q,
        settings.spread_fall * fall,
        settings.spread_constant * held,
        settings.spread_points * start.q / start.points,
    )
    middle = start.level - fall - settings.constant * held
    low = middle + min(settings.low * sd, -Z80 * noise)
    high = middle + max(settings.high * sd, Z80 * noise)
    if high - low > math.log(WIDEST):
        return Refusal(f"the end lies anywhere from {math.exp(low):.3g} to {math.exp(high):.3g}")
    return Forecast(math.exp(middle), math.exp(low), math.exp(high))


def _near(level: float, constant: float) -> float:
    """w of the module: 1 at or above the best constant's score, 0 at half of it."""
    return min(1.0, max(0.0, 1 + (level - math.log(constant)) / math.log(2)))


def clean(points: Iterable[tuple[float, float]]) -> np.ndarray:
    """(n, 2) float64 of the finite points after the start."""
    array = np.array(list(points), np.float64).reshape(-1, 2)
    return array[np.isfinite(array).all(1) & (array[:, 0] > 0)]


def _start(
    val: np.ndarray, shape: np.ndarray, rate: Rate, now: float, budget: float
) -> _Start | Refusal:
    edges = np.linspace(0.0, budget, GRID + 1)
    rates = np.array([rate(n) for n in (edges[:-1] + edges[1:]) / 2])
    if not np.isfinite(rates).all() or rates.min() < 0 or rates.max() <= 0:
        return Refusal("the schedule's rate is not positive")
    summed = np.concatenate([[0.0], np.cumsum(rates)])

    def ln_s(inputs: Any) -> Any:
        # The summed rate is 0 at the start, and under a warm-up for a while.
        return np.log(np.maximum(np.interp(inputs, edges, summed), 1e-9 * summed[-1]))

    z, y, weight = _binned(ln_s(shape[:, 0]), shape[:, 1])
    if len(z) < 2:
        return Refusal("all points lie close together: no slope can be told")
    z_now = float(ln_s(now))
    level, slope, bend = _local(z - z_now, y, np.sqrt(weight))
    # validation runs beside the curve that gave the shape: how far above or below, lately
    recent = val[val[:, 0] >= 0.6 * val[-1, 0]]
    d = ln_s(recent[:, 0]) - z_now
    gaps = np.log(recent[:, 1]) - (level + slope * d + bend * d * d)
    # The later the more: the level is wanted at the cut-off.
    trust = recent[:, 0] ** 2
    gap = float((trust * gaps).sum() / trust.sum())
    noise = float(gaps.std(ddof=1)) if len(gaps) > 2 else 0.0
    worst = np.log(val[-1, 1] / val[:, 1].min())
    if worst > max(0.05, 4 * noise):
        return Refusal(f"validation has risen by {np.expm1(worst):.0%} from its best")
    r = math.log(summed[-1]) - z_now
    q = 1 - math.exp(-r)
    b = min(max(-slope, -0.1), 1.2)
    first = y[:2] if len(y) >= 8 else y[:1]  # two of few would hide half of the fall
    progress = float(first.mean() - level)
    scatter = y[-6:] - (level + slope * (z - z_now) + bend * (z - z_now) ** 2)[-6:]
    drop = (rate(now) - float(rates[-1])) / rates.max()
    steep = min(b * r, STEEPEST)
    follows = 1.0 if shape is val else _follows(ln_s(val[:, 0]) - z_now, np.log(val[:, 1]), b)
    terms = np.array([steep, steep**2, min(max(progress, 0.0), 4.0) * q, drop])
    stands = float(np.log(recent[:, 1]).mean())
    now_at = follows * (level + gap) + (1 - follows) * stands
    return _Start(now_at, terms, q, noise, progress, float(scatter.std()), len(shape), follows)


def _follows(d: np.ndarray, y: np.ndarray, pace: float) -> float:
    """1 where validation falls at half of training's pace or more, 0 where it stands still.

    Of its points in the last unit of ln S, or its last two; a standard error is conceded.
    """
    many = max(2, int((d > -1.0).sum()))
    d, y = d[-many:], y[-many:]
    x = d - d.mean()
    if len(y) < 2 or not x.any():
        return 1.0
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    scatter = math.sqrt(float(residual @ residual) / (len(y) - 2)) if len(y) > 2 else STILL
    error = scatter / math.sqrt(x @ x)
    return min(1.0, max(0.0, 2 * (error - slope) / max(pace, SLOW)))


def _binned(z: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means over equal steps of ln S: (ln S, ln mean, count) of the bins that hold points."""
    edges = np.linspace(z[0] - 1e-3, z[-1] + 1e-3, BINS + 1)
    at = np.clip(np.searchsorted(edges, z) - 1, 0, BINS - 1)
    count = np.bincount(at, minlength=BINS)
    some = count > 0
    mean_z = np.bincount(at, z, BINS)[some] / count[some]
    return mean_z, np.log(np.bincount(at, value, BINS)[some] / count[some]), count[some]


def _local(d: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    """Level, slope and bend at d = 0 of a parabola under a Gaussian window of one unit of ln S.

    A little ridge keeps the bend of few points small.
    """
    k = weight * np.exp(-0.5 * d**2)
    x = np.stack([np.ones_like(d), d, d * d], 1)
    ridge = np.diag([1e-9, 1e-3, 0.025]) * k.sum()
    a, b, c = np.linalg.solve(x.T @ (x * k[:, None]) + ridge, x.T @ (k * y))
    return float(a), float(b), float(c)
