"""Pairs of values and the noise between replicates; shares of variance are in `anova.py`.

Every spread is relative to the score. Groups carry the mean over their replicates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from famulus.journal.facts.group import Group, domain, token
from famulus.journal.facts.numbers import JSON

Groups = Sequence[Group]
Measure = Callable[[Group], float | None]


@dataclass(frozen=True)
class Pairs:
    """Two values of one axis over all pairs that agree in every other axis."""

    axis: str
    low: JSON  # the value whose score is lower in most pairs
    high: JSON
    ratios: tuple[float, ...]  # score(low) / score(high), one a pair

    @property
    def wins(self) -> int:
        return sum(r < 1 for r in self.ratios)


def matched(groups: Groups, axis: str, axes: Sequence[str]) -> list[dict[str, Group]]:
    """Groups that agree in all axes but `axis`: value's token -> group, sets of two or more."""
    sets: dict[tuple, dict[str, Group]] = {}
    for group in groups:
        if group.axes.get(axis) is None:
            continue
        rest = tuple(token(group.axes.get(a)) for a in axes if a != axis)
        sets.setdefault(rest, {})[token(group.axes[axis])] = group
    return [s for s in sets.values() if len(s) > 1]


def compared(groups: Groups, axis: str, axes: Sequence[str]) -> list[str]:
    """The axes that a comparison over `axis` keeps equal: those that do not follow from it.

    An axis follows if each value of `axis` has one value of it, and not the other way round: a
    `name` whose cells bring their own width and depth (matrix.include). Two axes that always change
    together follow from neither; their cells can't be compared.
    """

    def decides(one: str, other: str) -> bool:
        pairs = {(token(g.axes.get(one)), token(g.axes.get(other))) for g in groups}
        return len({a for a, _ in pairs}) == len(pairs)

    return [a for a in axes if a == axis or decides(a, axis) or not decides(axis, a)]


def naming(groups: Groups, axes: Sequence[str]) -> list[str]:
    """The axes that tell cells apart: without those that follow from another, as of a `name`."""
    kept = [set(compared(groups, axis, axes)) for axis in axes]
    return [a for a in axes if all(a in names for names in kept)]


def pairs(groups: Groups, axis: str, axes: Sequence[str], measure: Measure) -> Pairs | None:
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
    # turned so that the sentence says which value is better, not which is worse
    if 2 * sum(r < 1 for r in ratios) >= len(ratios):
        return Pairs(axis, levels[0], levels[1], tuple(ratios))
    return Pairs(axis, levels[1], levels[0], tuple(1 / r for r in ratios))


def pooled_spread(groups: Groups, score: str, relative: bool = True) -> float | None:
    """sqrt(sum of squared deviations / degrees of freedom) over replicated groups.

    `relative` to each group's mean, for scores above zero; None without replicates.
    """
    square, freedom = 0.0, 0
    for group in groups:
        values = group.values(score, finished=True)
        # fsum: exact whatever the order, as runs end in any
        mean = math.fsum(values) / len(values) if values else 0.0
        scale = mean if relative else 1.0
        # a mean of 0 has no relative spread
        if len(values) > 1 and scale:
            square += sum(((v - mean) / scale) ** 2 for v in values)
            freedom += len(values) - 1
    return math.sqrt(square / freedom) if freedom else None


def positive(groups: Groups, score: str) -> bool:
    """Are all scores above zero, so that relative differences mean something?"""
    return all(v > 0 for g in groups for v in g.values(score, finished=True))


def distinguishable(a: Group, b: Group, score: str, groups: Groups) -> bool | None:
    """Do two groups' means differ beyond 95 % noise (1.96 standard errors)? None: no replicates.

    The noise is pooled over `groups`: relative to the means where all scores are positive.
    """
    relative = positive(groups, score)
    pooled = pooled_spread(groups, score, relative)
    first, second = a.mean(score, True), b.mean(score, True)
    if pooled is None or first is None or second is None:
        return None
    n, m = len(a.values(score, True)), len(b.values(score, True))
    sizes = (first / math.sqrt(n), second / math.sqrt(m)) if relative else (n**-0.5, m**-0.5)
    # pooled: two or three replicates of a cell alone tell little of its spread
    return abs(first - second) > 1.96 * pooled * math.hypot(*sizes)
