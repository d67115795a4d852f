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

    An axis follows if each value of `axis` has one value of it: a `name` whose cells bring their
    own width and depth (matrix.include). Two that always change together are one to a comparison.
    """
    return [a for a in axes if a == axis or not _decides(groups, axis, a)]


def together(groups: Groups, axis: str, axes: Sequence[str]) -> list[str]:
    """The axes that always change together with `axis`: what differs may be due to either."""
    varying = [a for a in axes if a != axis and len({token(g.axes.get(a)) for g in groups}) > 1]
    return [a for a in varying if _decides(groups, axis, a) and _decides(groups, a, axis)]


def naming(groups: Groups, axes: Sequence[str]) -> list[str]:
    """The axes that tell cells apart: without those that follow from another, as of a `name`.

    Of two that follow from each other the first one stays.
    """

    def follows(axis: str, other: str) -> bool:
        first = axes.index(other) < axes.index(axis)
        return _decides(groups, other, axis) and (first or not _decides(groups, axis, other))

    return [a for a in axes if not any(follows(a, b) for b in axes if b != a)]


def _decides(groups: Groups, one: str, other: str) -> bool:
    """Has each value of `one` one value of `other`?"""
    pairs = {(token(g.axes.get(one)), token(g.axes.get(other))) for g in groups}
    return len({a for a, _ in pairs}) == len(pairs)


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
    """Do two groups' means differ beyond what replicates do, at 95 %? None: no replicates.

    The spread is pooled over `groups`, relative to the means where all scores are positive; the two
    groups' own counts where it is larger: others may be quieter. Its uncertainty is in Student's
    quantile.
    """
    first, second = a.mean(score, True), b.mean(score, True)
    if first is None or second is None:
        return None
    relative = positive(groups, score)
    n, m = len(a.values(score, True)), len(b.values(score, True))
    sizes = (first / math.sqrt(n), second / math.sqrt(m)) if relative else (n**-0.5, m**-0.5)
    limits = []
    for some in (groups, (a, b)):
        spread, freedom = pooled_spread(some, score, relative), degrees(some, score)
        if spread is not None:
            limits.append(student(freedom) * spread * math.hypot(*sizes))
    return abs(first - second) > max(limits) if limits else None


def degrees(groups: Groups, score: str) -> int:
    """Degrees of freedom of a pooled spread: replicates beyond the first of each group."""
    return sum(max(len(g.values(score, finished=True)) - 1, 0) for g in groups)


def student(freedom: int) -> float:
    """Two-sided 95 % quantile: 12.7 for one degree of freedom, 1.96 for very many."""
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(freedom, 0.975))
