"""What is scored without a trained net, and which cells do no better: the baselines of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

from famulus.config.scores import PREFIX
from famulus.diagnosis.figures import baseline
from famulus.diagnosis.learning import EQUAL, Comparison, Kind, kind
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import count, figure
from famulus.journal.facts.ranking import Ranking, better
from famulus.journal.facts.sentence import Sentence, Strong, opening, score_name

SHOWN = 3  # things of one kind that are listed
SENTENCES = 3  # on baselines that cells miss
MOST_DIGITS = 7  # of two figures that are told apart


@dataclass(frozen=True)
class Baseline:
    """One baseline of a score, over the cells that have it."""

    name: str
    kind: Kind
    values: dict[int, float]  # by the key of a cell
    missed: tuple[Group, ...]  # cells that score no better

    @property
    def shown(self) -> str:
        low, high = figure(min(self.values.values())), figure(max(self.values.values()))
        return low if low == high else f"{low} to {high}"


def baselines(cells: Cells, ranking: Ranking) -> list[Baseline]:
    """Those of the ranking's score that a net is held against: no bound, no loss at the start."""
    values: dict[str, dict[int, float]] = {}
    for group in cells.own:
        for floor in group.records[0].floors_of(ranking.score):
            values.setdefault(str(floor["means"]), {})[group.key] = float(floor["value"])
    lines = []
    for means, levels in values.items():
        if kind(means) in ("trivial", "rival"):
            missed = tuple(g for g in cells.own if g.key in levels and _missed(g, levels, ranking))
            lines.append(Baseline(baseline(means), kind(means), levels, missed))
    return lines


def listed(lines: Sequence[Baseline]) -> str:
    """'; baselines: best constant predictor 0.161, raw-pixel kNN 0.09'; '' without any."""
    names = ", ".join(f"{one.name} {one.shown}" for one in lines)
    return f"; baseline{'s' if len(lines) > 1 else ''}: {names}" if lines else ""


def _missed(group: Group, levels: dict[int, float], ranking: Ranking) -> bool:
    # of a run under way nobody knows yet
    mean = group.mean(ranking.score, finished=True)
    return mean is not None and ranking.beaten(mean, levels[group.key])


def with_rivals(cells: Cells, leading: Ranking) -> list[Ranking]:
    """The leading score, then others that a method without a trained net scores, too."""
    records = [r for g in cells.own for r in g.records]
    names = [f"{PREFIX}{f['score']}".replace(PREFIX * 2, PREFIX) for r in records
             for f in r.floors if kind(str(f.get("means"))) == "rival"]  # fmt: skip
    others = [Ranking(name, better(name, records)) for name in dict.fromkeys(names)]
    return [leading, *(r for r in others if r.better and r.score != leading.score)]


def nothing_learned(cells: Cells) -> list[Sentence]:
    """Cells whose scores are all no better than baselines that need no input."""
    finished = [g for g in cells.own if any(r.status == "finished" for r in g.records)]
    idle = [g for g in finished if g.learned is False]
    if not idle:
        return []
    record = idle[0].records[0]
    several = len(idle) > 1
    parts: Sentence = [Strong(opening(cells.some(idle)))]
    parts.append(f" {'have' if several else 'has'} learned nothing that a held-out score shows")
    parts.append(f" after {count(record.inputs)} samples: " if record.inputs else ": ")
    whose = f" in {cells.label(idle[0])}" if several else ""
    shown = [_beside(c, whose if n == 0 else "") for n, c in enumerate(record.learning.held_out)]
    parts.append(f"{', '.join(shown[:SHOWN])}.")
    if heart := [g for g in idle if any(r.learning.memorised for r in g.records)]:
        whose = "" if len(heart) == len(idle) else f" of {cells.some(heart)}"
        parts.append(f" The training loss{whose} lies below its baseline.")
    return [parts]


def _beside(one: Comparison, whose: str) -> str:
    score, (value, level) = score_name(f"val/{one.score}"), apart(one.value, one.level)
    alike = "just as " if abs(one.gain) <= EQUAL else ""
    return f"{score} {value}{whose} ({alike}{baseline(one.baseline)}, {level})"


def apart(value: float, other: float) -> tuple[str, str]:
    """Both with as many digits, three at least, as tell them from one another."""
    pairs = ((figure(value, digits), figure(other, digits)) for digits in range(3, MOST_DIGITS))
    return next((pair for pair in pairs if pair[0] != pair[1]), (figure(value), figure(other)))


@dataclass(frozen=True)
class Shortfall:
    """Baselines of one score that the same cells do not beat."""

    everywhere: bool  # no cell beats them
    sentence: Sentence


def shortfalls(cells: Cells, leading: Ranking) -> list[Shortfall]:
    """The baselines that cells do not beat, those of most cells first; of the leading score and of
    those that a method without a trained net scores, too."""
    idle = {g.key for g in cells.own if g.learned is False}
    lines: list[tuple[int, Shortfall]] = []
    for ranking in with_rivals(cells, leading):
        by_cells: dict[tuple[int, ...], list[Baseline]] = {}
        for one in baselines(cells, ranking):
            # what is said of cells that have learned nothing needs no saying twice
            missed = [g for g in one.missed if one.kind == "rival" or g.key not in idle]
            if missed:
                by_cells.setdefault(tuple(g.key for g in missed), []).append(one)
        for keys, some in by_cells.items():
            sentence = _not_beaten(keys, some, cells, ranking)
            lines.append((-len(keys), Shortfall(len(keys) == len(cells.own), sentence)))
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])][:SENTENCES]


def side_scores(cells: Cells, leading: Ranking) -> list[Sentence]:
    """Of a single cell: other scores beside the methods that are measured by them."""
    if len(cells.own) != 1 or not any(r.status == "finished" for r in cells.own[0].records):
        return []
    lines: list[Sentence] = []
    leads = cells.own[0].mean(leading.score, finished=True)
    for ranking in with_rivals(cells, leading)[1:]:
        value = cells.own[0].shown(ranking.score, finished=True)
        # a loss that is this score has said it
        if value and cells.own[0].mean(ranking.score, finished=True) != leads:
            name, end = score_name(ranking.score).capitalize(), listed(baselines(cells, ranking))
            lines.append([f"{name} is ", Strong(value), f"{end}."])
    return lines


def _not_beaten(
    keys: Sequence[int], lines: Sequence[Baseline], cells: Cells, ranking: Ranking
) -> Sentence:
    missed = [g for g in cells.own if g.key in keys]
    everywhere = len(missed) == len(cells.own) > 1
    nobody = "No cell of the plan beats" if len(cells.groups) > len(cells.own) else "No cell beats"
    subject = nobody if everywhere else opening(cells.some(missed))
    verb = "" if everywhere else " does not beat" if len(missed) == 1 else " do not beat"
    names = "; ".join(f"{one.name} ({one.shown})" for one in lines[:SHOWN])
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    means = [m for g in missed if (m := g.mean(ranking.score, finished=True)) is not None]
    best = ranking.best(means)
    single = len(lines) == len(set(lines[0].values.values())) == 1
    if single and best is not None:
        shown, level = apart(best, next(iter(lines[0].values.values())))
        names = f"{lines[0].name} ({level})"
    else:
        shown = figure(best)
    at = f"at best {shown}" if len(missed) > 1 else shown
    end = _all_the_same(missed, lines[0])
    return [Strong(subject), f"{verb} {names}{more} in {score_name(ranking.score)}: {at}", end]


def _all_the_same(missed: Sequence[Group], line: Baseline) -> str:
    """'; its auc of 0.668 beats chance (0.5)': a trivial baseline missed by a net that learned."""
    best = missed[0].records[0].learning.best
    if line.kind != "trivial" or missed[0].learned is not True or best is None:
        return "."
    whose = "its" if len(missed) == 1 else "the first one's"
    beats = f"{baseline(best.baseline)} ({figure(best.level)})"
    return f"; {whose} {best.score} of {figure(best.value)} beats {beats}."


def baselines_of(cells: Cells) -> tuple[tuple[str, str], ...]:
    """('best constant predictor (loss)', '0.161') of every score, in order of appearance.

    Where cells differ, each value stands with its cells, or as a range of very many; one that only
    some cells have says so.
    """
    values: dict[str, dict[int, float]] = {}
    for group in cells.groups:
        for floor in group.records[0].floors:
            name = f"{baseline(str(floor.get('means')))} ({floor.get('score')})"
            values.setdefault(name, {})[group.key] = float(floor["value"])
    return tuple((name, _spread(levels, cells)) for name, levels in values.items())


def _spread(levels: dict[int, float], cells: Cells) -> str:
    by_text: dict[str, list[Group]] = {}
    for group in cells.groups:
        if group.key in levels:
            by_text.setdefault(figure(levels[group.key]), []).append(group)
    everywhere = len(levels) == len(cells.groups)
    if len(by_text) == 1 and everywhere:
        return next(iter(by_text))
    if len(by_text) <= SHOWN:
        return "; ".join(f"{text} ({cells.some(groups)})" for text, groups in by_text.items())
    ends = figure(min(levels.values())), figure(max(levels.values()))
    some = "" if everywhere else f", of {len(levels)} of {len(cells.groups)} cells"
    return f"{ends[0]} to {ends[1]}{some}"
