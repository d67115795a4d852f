"""The first lines of an entry: what happened, as sentences with rounded figures and spreads.

A sentence is a list of parts; a part in `Strong` is a figure worth seeing first. Nothing is ranked
that the spread between replicates does not allow.
"""

from famulus.journal.facts import forecast
from famulus.journal.facts.anova import analyse
from famulus.journal.facts.effects import distinguishable, pairs, pooled_spread, positive
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.group import Group, title
from famulus.journal.facts.numbers import count, figure, percent, percent_range, plain, plural, pm


class Strong(str):
    """A part of a sentence that is set in bold."""

    __slots__ = ()


Sentence = list[str]
AHEAD = 4  # runs under way whose end is told


def sentences(entry: Entry) -> list[Sentence]:
    """State, best cell, effects of the axes, floors, promises, difference from the last run."""
    if not entry.records:
        return [["Nothing has been run yet."]]
    found = [_state(entry), *_best(entry), *_ahead(entry), *_effects(entry), *_floors(entry)]
    found += [_promises(entry), _stale(entry), _changes(entry)]
    return [s for s in found if s]


def text(sentence: Sentence) -> str:
    return "".join(sentence)


def score_name(entry: Entry) -> str:
    """'validation loss' for val/loss, 'validation psnr' for val/psnr."""
    return entry.score.replace("val/", "validation ")


def label(entry: Entry, group: Group) -> str:
    return title(group.axes, entry.naming, ", ") or (group.records[0].slug or "the run")


def _state(entry: Entry) -> Sentence | None:
    states = entry.states
    failed = [r for r in entry.records if r.status == "failed"]
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
        parts += [f"{title(first.axes, entry.naming, ', ') or first.slug} ({reason}"]
        parts += [f" at step {first.step:,}" if first.step else "", ")"]
        parts += [f" and {len(failed) - 1} more." if len(failed) > 1 else "."]
    return parts or None


def _finished(entry: Entry) -> list[Group]:
    score = entry.score
    own = [g for g in entry.own if g.mean(score, finished=True) is not None]
    return entry.ranking.sorted(own, lambda g: g.mean(score, finished=True))


def _best(entry: Entry) -> list[Sentence]:
    score, ranked = entry.score, _finished(entry)
    if not ranked:
        return _so_far(entry)
    best = ranked[0]
    value = Strong(pm(best.mean(score, True), best.spread(score, True)))
    if len(ranked) == 1:
        budget = f" after {count(best.records[0].inputs)} inputs" if best.records[0].inputs else ""
        floor = _baseline(best, score)
        whose = f" of {label(entry, best)}" if len(entry.own) > 1 else ""
        return [[f"{score_name(entry).capitalize()}{whose} is ", value, f"{budget}{floor}."]]
    if not entry.ranking.better:
        return [[f"The cells are not ranked: {entry.ranking.because}."]]
    second = ranked[1]
    beyond = distinguishable(best, second, score, entry.groups)
    next_one = (
        f"{label(entry, second)} with {pm(second.mean(score, True), second.spread(score, True))}"
    )
    parts = ["Best is ", Strong(label(entry, best)), f" with a {score_name(entry)} of ", value]
    if beyond is None:
        parts += [f"; next comes {next_one}. One run a cell: the noise is not known."]
    elif beyond:
        parts += [f", ahead of {next_one} by more than the noise between replicates."]
    else:
        parts += [f"; {next_one} can't be told apart from it by these replicates."]
    if why := entry.ranking.because:
        parts += [f" Ranked by {entry.score}, since {why}."]
    return [parts]


def _baseline(group: Group, score: str) -> str:
    """'; the best constant scores 0.161', of the first floor of that score."""
    for floor in group.records[0].floors:
        same = str(floor.get("score")) in (score, score.removeprefix("val/"))
        if same and floor.get("means") != "initial loss":
            return f"; {floor['means']} scores {figure(floor['value'])}"
    return ""


def _so_far(entry: Entry) -> list[Sentence]:
    running = [g for g in entry.own if g.mean(entry.score) is not None]
    if not running:
        return []
    best = entry.ranking.sorted(running, lambda g: g.mean(entry.score))[0]
    at = count(max(r.inputs for r in best.records))
    if len(entry.own) + len(entry.missing) == 1:
        value = Strong(figure(best.mean(entry.score)))
        return [[f"{score_name(entry).capitalize()} is ", value, f" so far, at {at} inputs."]]
    if not entry.ranking.better:
        return []
    return [
        ["So far ", Strong(label(entry, best)), f" leads with a {score_name(entry)} of ",
         Strong(figure(best.mean(entry.score))), f" at {at} inputs; no cell has finished."]
    ]  # fmt: skip


def _ahead(entry: Entry) -> list[Sentence]:
    """Where runs under way will end, or why that can't be said."""
    training = entry.records[0].config.get("training") or {}
    if ((training.get("keep") or {}).get("best") or "val/loss") != "val/loss":
        return []
    pooled = pooled_spread(entry.groups, "val/loss")
    under_way = [(g, r) for g in entry.own for r in g.records if r.last and not g.settled]
    found: list[Sentence] = []
    for group, record in [(g, r) for g, r in under_way if r.status not in ("finished", "failed")]:
        words = forecast.said(forecast.ahead(record, pooled))
        which = "" if entry.score == "val/loss" else " val/loss"
        found.append([Strong(label(entry, group)), f":{which} {words}."])
    if len(found) > AHEAD:
        found = [*found[:AHEAD], [f"{plural(len(found) - AHEAD, 'more run')} under way."]]
    return found


def _shares(entry: Entry) -> list[Sentence]:
    """What each axis explains of the score, if runs are left over to judge it by."""
    runs = [r for g in entry.own for r in g.records if r.status == "finished"]
    rows = [{**r.axes, "": r.scores.get(entry.score)} for r in runs]
    try:
        told = analyse(rows, "", entry.axes)
    except ValueError:  # too few, or nothing varies
        return []
    if len(told.effects) < 2 or told.residual_df < 1 or told.residual_share > 0.5:
        return []
    said: Sentence = [f"Of the variance of {'log ' if told.log else ''}{score_name(entry)}, "]
    for n, effect in enumerate(told.effects):
        share = percent(effect.share)
        said += [f"{effect.axis} explains " if n == 0 else f", {effect.axis} "]
        said += [Strong(share) if n < 2 else share]
    said += [f"; {percent(told.residual_share)} is left to interactions and noise"]
    first, second = told.effects[:2]
    if told.lead is not None and told.lead < 0.95:
        said += [f". Which of {first.axis} and {second.axis} explains more can't be told"]
    if told.blank:
        said += [f". {plural(told.blank, 'run')} to which an axis does not apply left out"]
    return [[*said, "."]]


def _effects(entry: Entry) -> list[Sentence]:
    if not entry.ranking.better:  # of what does not compare, no axis explains a share
        return []
    score = entry.score
    groups = [g for g in entry.own if g.mean(score, True) is not None]

    def measure(group: Group) -> float | None:
        return group.mean(score, finished=True)

    found = _shares(entry)
    even = positive(entry.groups, score)
    pooled = pooled_spread(entry.groups, score) if even else None
    for axis in entry.axes:
        one = pairs(groups, axis, entry.axes, measure)
        if one is None or len(one.ratios) < 2:
            continue
        drops = sorted(1 - r for r in one.ratios if r < 1)
        said: Sentence = [f"{axis}: {plain(one.low)} is below {plain(one.high)} in "]
        said += [Strong(f"{one.wins} of {len(one.ratios)}"), " pairs"]
        if drops:
            said += [f", by {percent_range(drops[0], drops[-1])}"]
        found.append([*said, "."])
    if pooled is not None and found:
        found[-1] = [*found[-1][:-1], f"; replicates of one cell differ by {percent(pooled)} (sd)."]
    return found


def _floors(entry: Entry) -> list[Sentence]:
    """Cells that did no better than what the task can do without training, floor by floor.

    The first floor of a score is what a net that has learned nothing gets; the others are rivals.
    """
    missed: dict[str, list[Group]] = {}  # of each cell the first floor that it misses
    known: dict[str, tuple[float, bool]] = {}
    for group in entry.own:
        mean = group.mean(entry.score)
        names = (entry.score, entry.score.removeprefix("val/"))
        floors = [f for f in group.records[0].floors if str(f.get("score")) in names]
        floors = [f for f in floors if f.get("means") not in ("initial loss", "best possible")]
        for n, floor in enumerate(floors):
            if mean is not None and entry.ranking.beaten(mean, float(floor["value"])):
                means = str(floor["means"])
                missed.setdefault(means, []).append(group)
                known.setdefault(means, (float(floor["value"]), n == 0))
                break
    found: list[Sentence] = []
    for means, groups in missed.items():
        value, trivial = known[means]
        more = f" and {plural(len(groups) - 1, 'other cell')}" if len(groups) > 1 else ""
        end = ": nothing was learned there." if trivial else "."
        said = f"{more} scored no better than {means} ({figure(value)}){end}"
        found.append([Strong(label(entry, groups[0])), said])
    return found


def _promises(entry: Entry) -> Sentence | None:
    if not entry.promises:
        return None
    states = [p.state for p in entry.promises]
    kept = states.count("kept")
    if states.count("not yet") == len(states):
        return [f"None of {plural(len(states), 'promise')} can be judged yet."]
    parts: Sentence = [Strong(f"{kept} of {plural(len(states), 'promise')}"), " kept"]
    broken = [p for p in entry.promises if p.state == "broken"]
    if broken:
        parts += [f"; broken: {broken[0].says} ({broken[0].measured})"]
        parts += [f" and {len(broken) - 1} more" if len(broken) > 1 else ""]
    waiting = states.count("not yet")
    return [*parts, f"; {waiting} can't be judged yet." if waiting else "."]


def _stale(entry: Entry) -> Sentence | None:
    if not entry.stale:
        return None
    n = plural(len(entry.stale), "run")
    return [Strong(n), " came from other code than the newest one: compare with care."]


def _changes(entry: Entry) -> Sentence | None:
    if not entry.changed_since:
        return None
    lines = entry.changed
    told = "; ".join(lines[:3]) if lines else "nothing differs"
    rest = f"; {len(lines) - 3} more below" if len(lines) > 3 else ""
    tail = "; nothing else differs" if lines and not rest else ""
    return [f"Against the last version of this file ({entry.changed_since}): {told}{rest}{tail}."]
