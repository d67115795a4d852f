"""Which cell is best, in words: ahead of which other, and whether the spread allows to say so."""

from famulus.journal.facts.baselines import apart, baselines, listed
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.effects import distinguishable
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import count, figure
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.sentence import Sentence, Strong, opening, score_name


def leader(cells: Cells, ranking: Ranking, missing: int) -> list[Sentence]:
    """The best cell of those that finished, else of those under way; `missing` have no run yet."""
    score = ranking.score
    ranked = ranking.sorted(cells.own, lambda g: g.mean(score, finished=True))
    if not ranked:
        return _so_far(cells, ranking, missing)
    best = ranked[0]
    value = Strong(best.shown(score, True))
    if len(ranked) == 1:
        value = Strong(_beside_baselines(best, cells, ranking))
        budget = f" after {count(best.records[0].inputs)} samples" if best.records[0].inputs else ""
        whose = f" of {cells.label(best)}" if len(cells.own) > 1 else ""
        end = f"{budget}{listed(baselines(cells, ranking))}."
        return [[f"{score_name(score).capitalize()}{whose} is ", value, end]]
    if not ranking.better:
        return [[f"The cells are not ranked: {ranking.because}."]]
    second = ranked[1]
    # the second only: if the best can't be told from it, no order below means more
    beyond = distinguishable(best, second, score, cells.groups)
    next_one = f"{cells.label(second)} with {second.shown(score, True)}"
    level = [g for g in ranked if g.mean(score, finished=True) == best.mean(score, finished=True)]
    if len(level) > 1:
        words = f" score the same, digit for digit: a {score_name(score)} of "
        return [[Strong(opening(cells.some(level))), words, value, ".", _why(ranking)]]
    if beyond is None and best.shown(score, True) == second.shown(score, True):
        first, other = apart(*(g.mean(score, finished=True) or 0.0 for g in (best, second)))
        value, next_one = Strong(first), f"{cells.label(second)} with {other}"
    whole = len(cells.own) == len(cells.groups)  # forks are not ranked with the plan's cells
    if best.learned is False:
        end = f" has the {ranking.end} {score_name(score)}: "
        begin = [] if whole else ["Of the plan's cells "]
        subject = opening(cells.label(best)) if whole else cells.label(best)
        return [[*begin, Strong(subject), end, value, "; none is good.", _why(ranking)]]
    parts = [
        "Best is " if whole else "Best of the plan's cells is ",
        Strong(cells.label(best)),
        f" with a {score_name(score)} of ",
        value,
    ]
    if beyond is None:
        parts += [f"; next comes {next_one}. Single seed: differences may be noise."]
    elif beyond:
        parts += [f", ahead of {next_one} by more than the seed-to-seed spread."]
    else:
        parts += [f"; {next_one} is within the seed-to-seed spread of it."]
    return [[*parts, _beaten(best, cells, ranking), _why(ranking)]]


def _beside_baselines(group: Group, cells: Cells, ranking: Ranking) -> str:
    """The score, with as many digits as tell it from the nearest baseline."""
    mean = group.mean(ranking.score, finished=True)
    levels = [v for one in baselines(cells, ranking) for v in one.values.values()]
    if mean is None or not levels or group.spread(ranking.score, finished=True) is not None:
        return group.shown(ranking.score, finished=True)
    return apart(mean, min(levels, key=lambda level: abs(level - mean)))[0]


def _why(ranking: Ranking) -> str:
    why = f" Ranked by {ranking.score}, since {ranking.because}." if ranking.because else ""
    return why + (f" The cells {ranking.lengths}." if ranking.lengths else "")


def _beaten(best: Group, cells: Cells, ranking: Ranking) -> str:
    """' lr 0.1 beats 2 of 3 baselines, the strongest of them TKD (0.08).'"""
    own = [b for b in baselines(cells, ranking) if best.key in b.values]
    won = [b for b in own if best not in b.missed]
    if not won:
        return ""  # told by `shortfalls`, as those are that it misses
    level = ranking.best([b.values[best.key] for b in won])
    strongest = next(b for b in won if b.values[best.key] == level)
    name = f"{strongest.name} ({figure(level)})"
    many = f"{len(won)} of {len(own)}"
    if len(won) == len(own):
        many = "both" if len(own) == 2 else f"all {len(own)}"
    some = f"{many} baselines, the strongest of them " if len(own) > 1 else ""
    return f" {opening(cells.label(best))} beats {some}{name}."


def _so_far(cells: Cells, ranking: Ranking, missing: int) -> list[Sentence]:
    score = ranking.score
    # a run that failed goes nowhere: its last score is no state of things
    alive = [g for g in cells.own if g.status != "failed"]
    running = ranking.sorted(alive, lambda g: g.mean(score))
    if not running:
        return []
    best = running[0]
    at = count(max(r.inputs for r in best.records))
    value = Strong(figure(best.mean(score)))
    if len(cells.own) + missing == 1:
        return [[f"{score_name(score).capitalize()} is ", value, f" so far, at {at} samples."]]
    if not ranking.better:
        return []
    return [
        ["So far ", Strong(cells.label(best)), f" leads with a {score_name(score)} of ",
         value, f" at {at} samples; no cell has finished."]
    ]  # fmt: skip
