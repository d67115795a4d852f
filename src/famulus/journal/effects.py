"""What the axes of a matrix do to a score.

Units: every spread is in the score's unit. `groups` carry the mean over their replicates.
Source: one-way variance shares (eta squared) of a balanced factorial design, Fisher 1925.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.journal.group import Group, domain, same, token

COVERED = 0.8  # share of all combinations that an analysis of variance needs

Measure = Callable[[Group], float | None]


@dataclass(frozen=True)
class Pairs:
    """Two values of one axis over all pairs that agree in every other axis."""

    axis: str
    low: Any  # the value whose score is lower in most pairs
    high: Any
    ratios: tuple[float, ...]  # score(low) / score(high), one a pair

    @property
    def wins(self) -> int:
        return sum(r < 1 for r in self.ratios)


def shares(groups: list[Group], axes: list[str], measure: Measure) -> dict[str, float]:
    """Each axis's share of the variance of the score, largest first; {} if it can't be told.

    (residual without the axis - residual with it) / total sum of squares, of an additive model of
    all axes: eta squared where every combination occurs once, and still fair where a few are
    missing. Asks for `COVERED` of the combinations, and for more cells than the model has terms.
    """
    found = [(g, v) for g in groups if (v := measure(g)) is not None]
    scored = [g for g, _ in found]
    axes = [a for a in axes if len(domain(scored, a)) > 1]
    full = math.prod(len(domain(scored, a)) for a in axes)
    cells = {tuple(token(g.axes.get(a)) for a in axes) for g in scored}
    if not axes or len(cells) < len(scored) or len(cells) < COVERED * full:
        return {}
    if any(g.axes.get(a) is None for g in scored for a in axes):
        return {}
    y = np.array([v for _, v in found])
    total = float(((y - y.mean()) ** 2).sum())
    columns = {a: _indicators(scored, a) for a in axes}
    rest = _residual(y, list(columns.values()))
    if total == 0 or sum(c.shape[1] for c in columns.values()) + 1 > len(y):
        return {}
    result = {}
    for axis in axes:
        without = _residual(y, [c for a, c in columns.items() if a != axis])
        result[axis] = max(0.0, (without - rest) / total)
    return dict(sorted(result.items(), key=lambda item: -item[1]))


def _indicators(groups: list[Group], axis: str) -> np.ndarray:
    """(cells, levels - 1): 1 where a cell has the level; the first level is the reference."""
    levels = domain(groups, axis)[1:]
    return np.array([[float(same(g.axes.get(axis), v)) for v in levels] for g in groups])


def _residual(y: np.ndarray, columns: list[np.ndarray]) -> float:
    """Sum of squares that an intercept and `columns` leave unexplained."""
    design = np.concatenate([np.ones((len(y), 1)), *columns], axis=1)
    fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(((y - fitted) ** 2).sum())


def matched(groups: list[Group], axis: str, axes: list[str]) -> list[dict[str, Group]]:
    """Groups that agree in all axes but `axis`: value's token -> group, sets of two or more."""
    sets: dict[tuple, dict[str, Group]] = {}
    for group in groups:
        if group.axes.get(axis) is None:
            continue
        rest = tuple(token(group.axes.get(a)) for a in axes if a != axis)
        sets.setdefault(rest, {})[token(group.axes[axis])] = group
    return [s for s in sets.values() if len(s) > 1]


def pairs(groups: list[Group], axis: str, axes: list[str], measure: Measure) -> Pairs | None:
    """The two values of a two-valued axis, compared wherever both were measured (and are > 0)."""
    levels = domain(groups, axis)
    if len(levels) != 2:
        return None
    a, b = (token(v) for v in levels)
    ratios = []
    for one in matched(groups, axis, axes):
        first, second = measure(one[a]), measure(one[b])
        if first is not None and second is not None and first > 0 and second > 0:
            ratios.append(first / second)
    if not ratios:
        return None
    if 2 * sum(r < 1 for r in ratios) >= len(ratios):
        return Pairs(axis, levels[0], levels[1], tuple(ratios))
    return Pairs(axis, levels[1], levels[0], tuple(1 / r for r in ratios))


def pooled_relative_spread(groups: list[Group], score: str) -> float | None:
    """sqrt(sum of squared relative deviations / degrees of freedom) over replicated groups."""
    square, freedom = 0.0, 0
    for group in groups:
        values = group.values(score, finished=True)
        mean = math.fsum(values) / len(values) if values else 0.0
        if len(values) > 1 and mean:
            square += sum((v / mean - 1) ** 2 for v in values)
            freedom += len(values) - 1
    return math.sqrt(square / freedom) if freedom else None


def distinguishable(a: Group, b: Group, score: str, pooled: float | None) -> bool | None:
    """Do two groups' means differ beyond 95 % noise (1.96 standard errors)? None: no replicates."""
    first, second = a.mean(score), b.mean(score)
    if pooled is None or first is None or second is None:
        return None
    error = math.hypot(
        first / math.sqrt(max(1, len(a.values(score)))),
        second / math.sqrt(max(1, len(b.values(score)))),
    )
    return abs(first - second) > 1.96 * pooled * error
