"""Which curve goes where: small multiples over the first axes, colours over the others.

At most `COLOURS` colours; the same colour means the same values in every panel, in the pictures and
in the rows of the table.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.group import Group, domain, title, token
from famulus.journal.facts.ranking import Ranking

COLOURS = 8  # that stay apart in both themes
IN_ONE = 6  # groups that share a single panel
IN_PANEL = 4  # colours when there are several panels
MOST_RUNS = 150  # drawn on one page; the table shows all


@dataclass
class Panel:
    """One small chart: the groups that share the values of the panel axes."""

    title: str
    groups: list[Group] = field(default_factory=list)


@dataclass
class Layout:
    panels: list[Panel]
    colour: dict[int, int]  # group key -> colour
    legend: list[tuple[int, str]]  # (colour, what it means)
    left_out: int = 0  # groups that are not drawn


def layout(cells: Cells, ranking: Ranking) -> Layout:
    """Panels and colours of the cells; of very many the best are drawn."""
    # of very many the best: worse ones stretch the axis
    groups, left_out = _drawn(cells.groups, ranking)
    own = [g for g in groups if not g.child_of]
    by_colour = colour_axes(own, cells.naming)
    across = [a for a in cells.naming if a not in by_colour]
    panels: dict[tuple, Panel] = {}
    meanings: dict[tuple, tuple[int, str]] = {}
    colour: dict[int, int] = {}
    for group in groups:
        where = tuple(token(group.axes.get(a)) for a in across)
        panel = panels.setdefault(where, Panel(title(group.axes, across)))
        panel.groups.append(group)
        what = tuple(token(group.axes.get(a)) for a in by_colour)
        name = title(group.axes, by_colour) or ("not applicable" if by_colour else "")
        # colours repeat rather than fade: eight are what stays apart
        meanings.setdefault(what, (len(meanings) % COLOURS, name))
        colour[group.key] = meanings[what][0]
    legend = [m for m in meanings.values() if m[1]] if len(meanings) > 1 else []
    return Layout(list(panels.values()), colour, legend, left_out)


def _drawn(groups: Sequence[Group], ranking: Ranking) -> tuple[Sequence[Group], int]:
    """All groups, or the best of very many; order as in the plan."""
    total = sum(len(g.records) for g in groups)
    if total <= MOST_RUNS:
        return groups, 0
    keep = max(1, MOST_RUNS * len(groups) // total)

    def badness(group: Group) -> float:
        mean = group.mean(ranking.score)
        # without a score: last, whatever is better
        return math.inf if mean is None else ranking.sign * mean

    best = {g.key for g in sorted(groups, key=badness)[:keep]}
    return [g for g in groups if g.key in best], len(groups) - len(best)


def colour_axes(groups: Sequence[Group], axes: Sequence[str]) -> list[str]:
    """The axes shown by colour: as many combinations as fit, the later axes first."""
    axes = [a for a in axes if domain(groups, a)]
    if len(groups) <= IN_ONE:
        return axes
    best: tuple[int, tuple[int, ...]] = (1, ())
    for n in range(1, min(3, len(axes)) + 1):
        for chosen in itertools.combinations(range(len(axes)), n):
            combos = {tuple(token(g.axes.get(axes[a])) for a in chosen) for g in groups}
            if len(combos) <= IN_PANEL:
                best = max(best, (len(combos), chosen))
    if not best[1] and len(axes) == 1 and len(groups) <= COLOURS:
        return axes
    return [axes[a] for a in best[1]]
