"""Which cell is best, in words: ahead of which other, and whether the noise allows to say so."""

from famulus.journal.facts.cells import Cells
from famulus.journal.facts.effects import distinguishable
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import count, figure
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.sentence import Sentence, Strong, score_name


def leader(cells: Cells, ranking: Ranking, missing: int) -> list[Sentence]:
    """The best cell of those that finished, else of those under way; `missing` have no run yet."""
    score = ranking.score
    ranked = ranking.sorted(cells.own, lambda g: g.mean(score, finished=True))
    if not ranked:
        return _so_far(cells, ranking, missing)
    best = ranked[0]
    value = Strong(best.shown(score, True))
    if len(ranked) == 1:
        budget = f" after {count(best.records[0].inputs)} inputs" if best.records[0].inputs else ""
        whose = f" of {cells.label(best)}" if len(cells.own) > 1 else ""
        end = f"{budget}{_baseline(best, score)}."
        return [[f"{score_name(score).capitalize()}{whose} is ", value, end]]
    if not ranking.better:
        return [[f"The cells are not ranked: {ranking.because}."]]
    second = ranked[1]
    # the second only: if the best can't be told from it, no order below means more
    beyond = distinguishable(best, second, score, cells.groups)
    next_one = f"{cells.label(second)} with {second.shown(score, True)}"
    parts = ["Best is ", Strong(cells.label(best)), f" with a {score_name(score)} of ", value]
    if beyond is None:
        parts += [f"; next comes {next_one}. One run a cell: the noise is not known."]
    elif beyond:
        parts += [f", ahead of {next_one} by more than the noise between replicates."]
    else:
        parts += [f"; {next_one} can't be told apart from it by these replicates."]
    if why := ranking.because:
        parts += [f" Ranked by {score}, since {why}."]
    return [parts]


def _baseline(group: Group, score: str) -> str:
    """'; the best constant scores 0.161', of the first floor of that score."""
    floors = group.records[0].floors_of(score)
    return f"; {floors[0]['means']} scores {figure(floors[0]['value'])}" if floors else ""


def _so_far(cells: Cells, ranking: Ranking, missing: int) -> list[Sentence]:
    score = ranking.score
    running = ranking.sorted(cells.own, lambda g: g.mean(score))
    if not running:
        return []
    best = running[0]
    at = count(max(r.inputs for r in best.records))
    value = Strong(figure(best.mean(score)))
    if len(cells.own) + missing == 1:
        return [[f"{score_name(score).capitalize()} is ", value, f" so far, at {at} inputs."]]
    if not ranking.better:
        return []
    return [
        ["So far ", Strong(cells.label(best)), f" leads with a {score_name(score)} of ",
         value, f" at {at} inputs; no cell has finished."]
    ]  # fmt: skip
