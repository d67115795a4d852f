"""Pairs of values and the noise between replicates; shares of variance are in `anova.py`.

Every spread is relative to the score. Groups carry the mean over their replicates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from famulus.journal.group import Group, domain, token

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
