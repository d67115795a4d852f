"""What the axes of a matrix do to the score, in words: shares of its variance, and pairs."""

import math
from collections.abc import Sequence

from famulus.journal.facts.anova import analyse
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.effects import (
    Pairs,
    compared,
    matched,
    pairs,
    pooled_spread,
    positive,
)
from famulus.journal.facts.group import Group, domain, token
from famulus.journal.facts.numbers import figure, percent, percent_range, plain, plural
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.sentence import Sentence, Strong, score_name

LISTED = 6  # values of an axis whose means are told
TOLD = 0.005  # share of the variance that is worth a figure


def axis_effects(cells: Cells, ranking: Ranking) -> list[Sentence]:
    """Shares, then the two-valued axes one by one; nothing of a score that does not compare."""
    score = ranking.score
    if not ranking.better:
        return []
    sentences = _shares(cells, score)
    # relative spreads mean nothing where a score may be 0 or change its sign
    even = positive(cells.groups, score)
    pooled = pooled_spread(cells.groups, score) if even else None
    groups = [g for g in cells.own if g.mean(score, True) is not None]
    for axis in cells.axes:
        one = pairs(groups, axis, cells.axes, lambda g: g.mean(score, finished=True))
        # one pair is an anecdote
        if one is None or len(one.ratios) < 2:
            continue
        sentences.append([*_pairs(one, ranking), "."])
    sentences += [line for axis in cells.axes if (line := _levels(axis, groups, cells, ranking))]
    if pooled is not None and sentences:
        spread = f"; the seed-to-seed spread is {percent(pooled)} (standard deviation)."
        sentences[-1] = [*sentences[-1][:-1], spread]
    return sentences


def _levels(axis: str, groups: Sequence[Group], cells: Cells, ranking: Ranking) -> Sentence:
    """'set: validation loss in the mean is 0.031 with mnist, 0.044 with ...', the best first, of an
    axis of several values, over the cells that are there with each of them."""
    values = domain(groups, axis)
    if not 3 <= len(values) <= LISTED:
        return []
    keys = {token(v): plain(v) for v in values}
    sets = matched(groups, axis, compared(groups, axis, cells.axes))
    whole = [one for one in sets if one.keys() >= keys.keys()]
    if len(whole) < 2:  # of a single one the table says as much
        return []
    means = {
        name: math.fsum(one[key].mean(ranking.score, True) or 0.0 for one in whole) / len(whole)
        for key, name in keys.items()
    }
    names = ranking.sorted(means, means.get)
    first, *rest = (f"{figure(means[name])} with {name}" for name in names)
    begin = f"{axis}: {score_name(ranking.score)} in the mean of {len(whole)} cells each is "
    return [begin, Strong(first), f", {', '.join(rest)}", "."]


def _pairs(pairs: Pairs, ranking: Ranking) -> Sentence:
    """'lr: validation loss is lower with 0.003 than with 0.001 in 2 of 3 pairs (by 4 to 7 %), and
    higher in the other (by 2 %)': always the better value first."""
    words, ratios, first, second = "lower", list(pairs.ratios), pairs.low, pairs.high
    if ranking.better == "higher":
        words, ratios, first, second = "higher", [1 / r for r in ratios], second, first
    changes = [r - 1 if words == "higher" else 1 - r for r in ratios]
    wins = sorted(c for c in changes if c > 0)
    others = sorted(-c for c in changes if c < 0)
    parts: Sentence = [f"{pairs.axis}: {score_name(ranking.score)} is {words} with {plain(first)} "]
    parts += [f"than with {plain(second)} in ", Strong(f"{len(wins)} of {len(ratios)}"), " pairs"]
    if wins:
        parts += [f" (by {percent_range(wins[0], wins[-1])})"]
    if wins and others:
        opposite = "lower" if words == "higher" else "higher"
        parts += [f", and {opposite} in the other{'s' if len(others) > 1 else ''}"]
        parts += [f" (by {percent_range(others[0], others[-1])})"]
    return parts


def _shares(cells: Cells, score: str) -> list[Sentence]:
    """What each axis explains of the score, if runs are left over to judge it by."""
    runs = [r for g in cells.own for r in g.records if r.status == "finished"]
    try:
        analysis = analyse([{**r.axes, "": r.scores.get(score)} for r in runs], "", cells.axes)
    except ValueError:  # too few, or nothing varies
        return []
    # most of it unexplained: shares of main effects would mislead
    if len(analysis.effects) < 2 or analysis.residual_df < 1 or analysis.residual_share > 0.5:
        return []
    scale = "log " if analysis.log else ""
    parts: Sentence = [f"Of the variance of {scale}{score_name(score)}, "]
    told = [e for n, e in enumerate(analysis.effects) if n == 0 or e.share >= TOLD]
    for n, effect in enumerate(told):
        share = percent(effect.share)
        parts += [f"{effect.axis} explains " if n == 0 else f", {effect.axis} "]
        parts += [Strong(share) if n < 2 else share]
    if quiet := [e.axis for e in analysis.effects if e not in told]:
        parts += [f"; {' and '.join(quiet)} hardly any"]
    if analysis.residual_share >= TOLD:
        parts += [f"; {percent(analysis.residual_share)} is interactions and seed-to-seed spread"]
    first, second = analysis.effects[:2]
    # resampled: in one of twenty tables like this another axis would come first
    if analysis.lead is not None and analysis.lead < 0.95:
        parts += [f". Which of {first.axis} and {second.axis} explains more can't be told"]
    if analysis.blank:
        parts += [f". {plural(analysis.blank, 'run')} to which an axis does not apply left out"]
    return [[*parts, "."]]
