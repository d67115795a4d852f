"""What is scored without a trained net, and which cells do no better: the baselines of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

from famulus.diagnosis.learning import Kind, kind
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.group import Group
from famulus.journal.facts.numbers import figure
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.sentence import Sentence, Strong, opening, score_name

SHOWN = 4  # different values of one baseline that are listed with their cells


def name_of(means: str) -> str:
    """'best constant predictor' for best constant; other baselines as their task names them."""
    return means.replace("best constant", "best constant predictor")


@dataclass(frozen=True)
class Baseline:
    """One baseline of the leading score, over the cells that have it."""

    name: str
    kind: Kind
    values: dict[int, float]  # by the key of a cell
    missed: tuple[Group, ...]  # cells that score no better

    @property
    def shown(self) -> str:
        low, high = figure(min(self.values.values())), figure(max(self.values.values()))
        return low if low == high else f"{low} to {high}"


def baselines(cells: Cells, ranking: Ranking) -> list[Baseline]:
    """Those of the leading score that a net is held against: no bound, no loss at the start."""
    values: dict[str, dict[int, float]] = {}
    for group in cells.own:
        for floor in group.records[0].floors_of(ranking.score):
            values.setdefault(str(floor["means"]), {})[group.key] = float(floor["value"])
    lines = []
    for means, levels in values.items():
        if kind(means) in ("trivial", "rival"):
            missed = tuple(g for g in cells.own if g.key in levels and _missed(g, levels, ranking))
            lines.append(Baseline(name_of(means), kind(means), levels, missed))
    return lines


def _missed(group: Group, levels: dict[int, float], ranking: Ranking) -> bool:
    # of a run under way nobody knows yet
    mean = group.mean(ranking.score, finished=True)
    return mean is not None and ranking.beaten(mean, levels[group.key])


def nothing_learned(cells: Cells) -> list[Sentence]:
    """Cells whose scores are all no better than baselines that need no input."""
    finished = [g for g in cells.own if any(r.status == "finished" for r in g.records)]
    idle = [g for g in finished if g.learned is False]
    if not idle:
        return []
    record = idle[0].records[0]
    comparison = record.learning.best
    if comparison is None:
        return []
    cell = "" if len(idle) == 1 else f", as of {cells.label(idle[0])}"
    score = f"{score_name('val/' + comparison.score)} {figure(comparison.value)}{cell}"
    level = f"{name_of(comparison.baseline)} {figure(comparison.level)}"
    parts: Sentence = [Strong(opening(cells.some(idle)))]
    several = len(idle) > 1
    parts.append(f" {'have' if several else 'has'} learned nothing that a held-out score shows: ")
    parts.append(f"{score}, {level}.")
    if heart := [g for g in idle if any(r.learning.memorised for r in g.records)]:
        whose = "" if len(heart) == len(idle) else f" of {cells.some(heart)}"
        parts.append(f" The training loss{whose} lies well below: overfitted.")
    return [parts]


def rivals(cells: Cells, ranking: Ranking) -> list[Sentence]:
    """Each baseline of the leading score that a cell does not beat, the commonest failure first."""
    idle = {g.key for g in cells.own if g.learned is False}
    lines: list[Sentence] = []
    for one in sorted(baselines(cells, ranking), key=lambda b: -len(b.missed)):
        # what is said of cells that have learned nothing needs no saying twice
        missed = [g for g in one.missed if one.kind == "rival" or g.key not in idle]
        if not missed:
            continue
        scores = [figure(g.mean(ranking.score, finished=True)) for g in missed]
        verb = "does" if len(missed) == 1 else "do"
        ends = f"at best {_best(missed, ranking)}" if len(missed) > 1 else scores[0]
        parts: Sentence = [Strong(opening(cells.some(missed)))]
        parts.append(f" {verb} not beat {one.name} ({one.shown}) in {score_name(ranking.score)}: ")
        lines.append([*parts, ends, _all_the_same(missed, one)])
    return lines


def _best(groups: Sequence[Group], ranking: Ranking) -> str:
    means = [m for g in groups if (m := g.mean(ranking.score, finished=True)) is not None]
    return figure(ranking.best(means))


def _all_the_same(missed: Sequence[Group], baseline: Baseline) -> str:
    """'; its auc of 0.668 beats chance (0.5)': a trivial baseline missed by a net that learned."""
    best = missed[0].records[0].learning.best
    if baseline.kind != "trivial" or missed[0].learned is not True or best is None:
        return "."
    whose = "its" if len(missed) == 1 else "the first one's"
    beats = f"{name_of(best.baseline)} ({figure(best.level)})"
    return f"; {whose} {best.score} of {figure(best.value)} beats {beats}."


def baselines_of(cells: Cells) -> tuple[tuple[str, str], ...]:
    """('best constant predictor (loss)', '0.161') of every score, in order of appearance.

    Where cells differ, each value stands with its cells, or as a range of very many; one that only
    some cells have says so.
    """
    values: dict[str, dict[int, float]] = {}
    for group in cells.groups:
        for floor in group.records[0].floors:
            name = f"{name_of(str(floor.get('means')))} ({floor.get('score')})"
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
