"""The first lines of an entry: what happened, as sentences with rounded figures and spreads.

Nothing is ranked that the spread between replicates does not allow.
"""

from collections.abc import Sequence

from famulus.journal.facts import forecast
from famulus.journal.facts.axis_effects import axis_effects
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.effects import pooled_spread
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.expect import Promise
from famulus.journal.facts.group import Group
from famulus.journal.facts.history import History
from famulus.journal.facts.leader import leader
from famulus.journal.facts.numbers import figure, plural
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.runs import Runs
from famulus.journal.facts.sentence import Sentence, Strong

AHEAD = 4  # runs under way whose end is told


def sentences(entry: Entry) -> list[Sentence]:
    """State, best cell, effects of the axes, floors, promises, difference from the last run."""
    runs, cells, ranking = entry.runs, entry.cells, entry.ranking
    if not runs.records:
        return [["Nothing has been run yet."]]
    lines = [_state(runs, cells), *leader(cells, ranking, len(runs.missing))]
    lines += [*_ahead(runs, cells, ranking.score), *axis_effects(cells, ranking)]
    lines += [*_floors(cells, ranking), _promises(entry.promises)]
    lines += [_stale(entry.history), _changes(entry.history)]
    return [line for line in lines if line]


def _state(runs: Runs, cells: Cells) -> Sentence:
    states = runs.states
    failed = [r for r in runs.records if r.status == "failed"]
    rest = [f"{n} {s}" for s, n in states.items() if s not in ("finished", "failed")]
    parts: Sentence = []
    if rest and sum(states.values()) == 1:
        parts += ["The run is ", Strong(next(iter(states))), ". "]
    elif rest:
        parts += [Strong(str(states.get("finished", 0))), " of "]
        parts += [f"{plural(sum(states.values()), 'run')} finished, {', '.join(rest)}. "]
    if failed:
        first = failed[0]
        reason = str(first.done.get("reason") or "no reason was recorded").rstrip(".")
        parts += [Strong(f"{plural(len(failed), 'run')} failed"), ": "]
        parts += [f"{cells.name(first, ', ')} ({reason}"]
        parts += [f" at step {first.step:,}" if first.step else "", ")"]
        parts += [f" and {len(failed) - 1} more." if len(failed) > 1 else "."]
    return parts


def _ahead(runs: Runs, cells: Cells, score: str) -> list[Sentence]:
    """Where runs under way will end, or why that can't be said."""
    training = runs.config.get("training") or {}
    if ((training.get("keep") or {}).get("best") or "val/loss") != "val/loss":
        return []
    pooled = pooled_spread(cells.groups, "val/loss")
    which = "" if score == "val/loss" else " val/loss"
    begun = [(g, r) for g in cells.own for r in g.records if r.last]
    under_way = [(g, r) for g, r in begun if r.status not in ("finished", "failed")]
    lines: list[Sentence] = []
    for group, record in under_way[:AHEAD]:
        end = forecast.words(forecast.ahead(record, pooled))
        lines.append([Strong(cells.label(group)), f":{which} {end}."])
    if len(under_way) > AHEAD:
        lines.append([f"{plural(len(under_way) - AHEAD, 'more run')} under way."])
    return lines


def _floors(cells: Cells, ranking: Ranking) -> list[Sentence]:
    """Cells that did no better than what the task can do without training, floor by floor.

    The first floor of a score is what a net that has learned nothing gets; the others are rivals.
    """
    score = ranking.score
    missed: dict[str, list[Group]] = {}  # of each cell the first floor that it misses
    known: dict[str, tuple[float, bool]] = {}
    for group in cells.own:
        mean = group.mean(score)
        floors = group.records[0].floors_of(score)
        # nobody gets below that one
        floors = [f for f in floors if f.get("means") != "best possible"]
        for n, floor in enumerate(floors):
            if mean is not None and ranking.beaten(mean, float(floor["value"])):
                means = str(floor["means"])
                missed.setdefault(means, []).append(group)
                known.setdefault(means, (float(floor["value"]), n == 0))
                break
    lines: list[Sentence] = []
    for means, groups in missed.items():
        value, trivial = known[means]
        more = f" and {plural(len(groups) - 1, 'other cell')}" if len(groups) > 1 else ""
        end = ": nothing was learned there." if trivial else "."
        rest = f"{more} scored no better than {means} ({figure(value)}){end}"
        lines.append([Strong(cells.label(groups[0])), rest])
    return lines


def _promises(promises: Sequence[Promise]) -> Sentence:
    if not promises:
        return []
    states = [p.state for p in promises]
    kept = states.count("kept")
    if states.count("not yet") == len(states):
        return [f"None of {plural(len(states), 'promise')} can be judged yet."]
    parts: Sentence = [Strong(f"{kept} of {plural(len(states), 'promise')}"), " kept"]
    broken = [p for p in promises if p.state == "broken"]
    if broken:
        parts += [f"; broken: {broken[0].says} ({broken[0].measured})"]
        parts += [f" and {len(broken) - 1} more" if len(broken) > 1 else ""]
    waiting = states.count("not yet")
    return [*parts, f"; {waiting} can't be judged yet." if waiting else "."]


def _stale(history: History) -> Sentence:
    if not history.stale:
        return []
    n = plural(len(history.stale), "run")
    return [Strong(n), " came from other code than the newest one: compare with care."]


def _changes(history: History) -> Sentence:
    if not history.since:
        return []
    lines = history.changes
    first = "; ".join(lines[:3]) if lines else "nothing differs"
    rest = f"; {len(lines) - 3} more below" if len(lines) > 3 else ""
    tail = "; nothing else differs" if lines and not rest else ""
    return [f"Against the last version of this file ({history.since}): {first}{rest}{tail}."]
