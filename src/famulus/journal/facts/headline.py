"""The first lines of an entry: what happened, as sentences with rounded figures and spreads.

What is common to all cells comes first; nothing is ranked that the spread between seeds does not
allow.
"""

from collections import Counter
from collections.abc import Sequence

from famulus.journal.facts import forecast
from famulus.journal.facts.axis_effects import axis_effects
from famulus.journal.facts.baselines import nothing_learned, shortfalls, side_scores
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.effects import pooled_spread
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.expectation import AFTER, BROKEN, MET, OPEN, UNJUDGED, Expectation
from famulus.journal.facts.findings import CommonFinding
from famulus.journal.facts.history import History
from famulus.journal.facts.leader import leader
from famulus.journal.facts.numbers import percent, plural
from famulus.journal.facts.runs import Runs
from famulus.journal.facts.sentence import Sentence, Strong, opening, score_name

AHEAD = 4  # runs under way whose end is told
CAUSES = 3  # of findings that are named


def sentences(entry: Entry) -> list[Sentence]:
    """State, leaks, what was not learned, findings, best cell, baselines, effects of the axes,
    expectations, difference from the last version."""
    runs, cells, ranking = entry.runs, entry.cells, entry.ranking
    if not runs.records:
        return [["Nothing has been run yet."]]
    short = shortfalls(cells, ranking)
    lines = [_state(runs, cells), *_leaks(runs), *nothing_learned(cells)]
    lines += [s.sentence for s in short if s.everywhere]
    lines += [_findings(entry.findings, cells), *leader(cells, ranking, len(runs.missing))]
    lines += [_without_score(cells, ranking.score)]
    lines += [*side_scores(cells, ranking), *_ahead(runs, cells, ranking.score)]
    lines += [s.sentence for s in short if not s.everywhere]
    lines += [*axis_effects(cells, ranking), _expectations(entry.expectations)]
    lines += [_repetitions(runs, ranking.score), _stale(entry.history), _changes(entry.history)]
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
        reason = (first.reason or "no reason was recorded").rstrip(".")
        parts += [Strong(f"{plural(len(failed), 'run')} failed"), ": "]
        one = len(runs.records) == 1
        parts += [reason if one else f"{cells.name(first, ', ')} ({reason}"]
        at = f" at step {first.step:,}"
        # an exception has a line, and most other reasons name their step
        placed = "step" in reason or " (at " in reason
        parts += [at if first.step and not placed else "", "" if one else ")"]
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
        lines.append([Strong(opening(cells.label(group))), f":{which} {end}."])
    if len(under_way) > AHEAD:
        lines.append([f"{plural(len(under_way) - AHEAD, 'more run')} under way."])
    return lines


def _without_score(cells: Cells, score: str) -> Sentence:
    """Cells that finished with nothing that can be ranked, as a score that is not finite."""
    lost = [g for g in cells.own if g.status == "finished" and g.mean(score) is None]
    if not lost or len(lost) == len(cells.own):
        return []
    verb = "has" if len(lost) == 1 else "have"
    return [Strong(opening(cells.some(lost))), f" {verb} no finite {score_name(score)}."]


def _leaks(runs: Runs) -> list[Sentence]:
    """Notes on the data by which validation scores flatter, each once."""
    notes = list(dict.fromkeys(note for r in runs.records for note in r.leaks))
    # cells that only differ in the size of their pictures have nearly the same
    more = f"; likewise in {plural(len(notes) - 1, 'other variant')} of the data"
    words = [note.removesuffix(": scores may flatter") for note in notes[:1]]
    return [[Strong("Scores may flatter"), f": {w}{more if notes[1:] else ''}."] for w in words]


def _findings(findings: Sequence[CommonFinding], cells: Cells) -> Sentence:
    """Causes that nothing else explains, with the cells that show them."""
    roots = [f for f in findings if f.grave and not f.under]
    parts: Sentence = []
    for n, finding in enumerate(roots[:CAUSES]):
        groups = [g for g in cells.groups if any(r in finding.runs for r in g.records)]
        where = f" in {cells.some(groups)}" if len(cells.groups) > 1 else ""
        parts += ["; " if n else "", Strong(finding.cause), f" ({finding.severity}){where}"]
    more = len(roots) - CAUSES
    return ["Found: ", *parts, f"; {more} more below." if more > 0 else "."] if roots else []


def _repetitions(runs: Runs, score: str) -> Sentence:
    """Whether runs that `famulus rerun` repeated came out the same."""
    by_id = {r.id: r for r in runs.all}
    pairs = [(r, by_id[r.repeats]) for r in runs.repetitions if r.repeats in by_id]
    ended = [(a, b) for a, b in pairs if a.status == b.status == "finished"]
    known = [(a.scores[score], b.scores[score]) for a, b in ended
             if score in a.scores and score in b.scores]  # fmt: skip
    if not known:
        return []
    n, same = plural(len(known), "repetition"), sum(a == b for a, b in known)
    if same == len(known):
        return [Strong(n), f" came to the same {score_name(score)}, digit for digit."]
    far = max(abs(a - b) / max(abs(a), abs(b)) for a, b in known if a != b)
    return [Strong(n), f": {score_name(score)} differs by up to {percent(far)}."]


def _expectations(expectations: Sequence[Expectation]) -> Sentence:
    present = [e for e in expectations if not e.withdrawn]
    if not present:
        return []
    states = Counter(e.state for e in present)
    n = plural(len(present), "expectation")
    if not states[MET] and not states[BROKEN]:
        subject = f"None of {n}" if len(present) > 1 else "The expectation"
        verb = "can" if len(present) > 1 else "can't"
        return [f"{subject} {verb} be judged{' yet' if states[OPEN] else ''}."]
    parts: Sentence = [Strong(f"{states[MET]} of {n}"), " met"]
    broken = [e for e in present if e.state == BROKEN]
    if broken:
        parts += [f"; not met: {broken[0].says}, measured {broken[0].measured}"]
        parts += [f" and {len(broken) - 1} more" if len(broken) > 1 else ""]
    for state in (UNJUDGED, OPEN):
        parts += [f"; {states[state]} {state}" if states[state] else ""]
    after = sum(e.written == AFTER for e in present)
    if after:
        verb = "was" if after == 1 else "were"
        parts += [f"; {after} of them {verb} written after the result"]
    return [*parts, "."]


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
    when = f"{history.since}, {plural(history.older, 'run')}"
    return [f"Against {history.before} ({when}): {first}{rest}{tail}."]
