"""Expectations of an experiment file (`expect:`), judged by what was measured.

Replicate means are compared. A fork with other settings never settles its parent's expectation.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from famulus.journal.facts.expect_order import order
from famulus.journal.facts.expectation import (
    AFTER,
    BEFORE,
    BROKEN,
    MET,
    OPEN,
    UNJUDGED,
    Expectation,
    scope,
    waiting,
)
from famulus.journal.facts.findings import SEVERITIES
from famulus.journal.facts.group import Group, title, token
from famulus.journal.facts.numbers import MINUS, number, plain, plural
from famulus.journal.facts.record import Record
from famulus.journal.facts.unused_axes import setting

Groups = Sequence[Group]
Better = Callable[[str], str | None]  # of a score's name: lower, higher, None where nobody said


# what is set beside a file without changing what it expects: cells are picked by `where`
BESIDE = re.compile(
    r"\s*(matrix|replicates|why|name|cost|resources|training\.(seed|device|workers|threads|probes"
    r"|log_every|checkpoint_every|pictures_every|keep))\b"
)


def changed_beside(overrides: Sequence[str]) -> list[str]:
    """Overrides with which a plan is not what its file's expectations were written for."""
    if any(re.match(r"\s*expect\b", one) for one in overrides):
        return []  # they were written for this plan
    return [one for one in overrides if not BESIDE.match(one)]


def expectations(
    dated: Sequence[Mapping[str, Any]],
    groups: Groups,
    axes: Sequence[str],
    complete: bool,
    better: Better = lambda score: None,
    overrides: Sequence[str] = (),
) -> tuple[Expectation, ...]:
    """Each judged, with its dates. `dated`: records as store/expectations.py keeps them;
    `overrides`: what was set beside the file."""
    judged = []
    changed = ", ".join(changed_beside(overrides))
    for record in dated:
        for one in check([record["entry"]], groups, axes, complete, better):
            if changed and one.state in (MET, BROKEN):
                why = f"{one.measured}, but with {changed} beside the file"
                one = replace(one, state=UNJUDGED, measured=why)
            where = record["entry"].get("where")
            about = {r.id: r for g in groups for r in g.records if matches(g, where)}
            results = [r for r in about.values() if r.scores]
            known = set(record.get("results") or ()) & about.keys()
            written = "" if not (results or known) else AFTER if known else BEFORE
            day, gone = (str(record.get(k) or "")[:10] for k in ("time", "withdrawn"))
            judged.append(replace(one, date=day, written=written, withdrawn=gone))
    return tuple(judged)


def check(
    expect: Sequence[Mapping[str, Any]],
    groups: Groups,
    axes: Sequence[str],
    complete: bool,
    better: Better = lambda score: None,
) -> tuple[Expectation, ...]:
    """Each entry's state. `complete`: every planned cell has finished or failed."""
    # other settings: what a fork scores was expected by nobody
    own = [g for g in groups if not g.child_of]
    judged = []
    for entry in expect:
        if "score" in entry:
            judged.append(_score(entry, own, axes, complete, better(entry["score"])))
        elif "order" in entry:
            where = entry.get("where")
            chosen = [g for g in own if matches(g, where)]
            judged.append(order(entry, chosen, axes, complete))
        elif "finding" in entry:
            judged.append(_finding(entry, own, axes, complete))
    return tuple(judged)


def scores_of(expect: Sequence[Mapping[str, Any]]) -> list[str]:
    """The scores that expectations speak of, in their order."""
    return list(dict.fromkeys(str(p[k]) for p in expect for k in ("score", "order") if k in p))


def matches(group: Group, where: Mapping | None) -> bool:
    """Do the matrix values (or dotted settings) of a cell equal those of `where`?

    A blank value is that of the file: a cell may be named by a filter that it did not use.
    """
    for key, wanted in (where or {}).items():
        value = group.axes.get(key)
        if value is None:
            value = setting(group.records[0].config, f"matrix.{key}" if key in group.axes else key)
        # True is no number here, though Python says 1 == True
        numbers = number(wanted) and number(value)  # of which 1 and 1.0 are the same
        if value != wanted if numbers else token(value) != token(wanted):
            return False
    return True


def tolerance(within: str | float, value: float) -> float:
    """Largest |score - value|: '10%' of the value expected, or a number in the score's unit."""
    percent = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", str(within))
    return abs(value) * float(percent[1]) / 100 if percent else float(within)


def _score(
    entry: Mapping, groups: Groups, axes: Sequence[str], complete: bool, better: str | None
) -> Expectation:
    score, value = entry["score"], float(entry["value"])
    within = entry.get("within", "10%")
    where = scope(entry.get("where"))
    shown = str(within).replace("%", " %").replace("  ", " ")
    says = f"{where + ': ' if where else ''}{score} {plain(entry['value'])} within {shown}"
    chosen = [g for g in groups if matches(g, entry.get("where"))]
    if not chosen:
        return Expectation(says, *waiting(complete, "no such cell was run"))
    # no score will come of these, so it is not merely open
    dead = [g for g in chosen if g.settled and not g.values(score, finished=True)]
    if dead:
        return Expectation(says, UNJUDGED, _no_score(dead[0], score, axes))
    if not all(g.settled for g in chosen):
        return Expectation(says, OPEN, _progress(chosen))
    means = [(m, g) for g in chosen if (m := g.mean(score, finished=True)) is not None]
    # the farthest: what is expected of several cells is met if each meets it
    mean, worst = max(means, key=lambda pair: abs(pair[0] - value))
    met = abs(mean - value) <= tolerance(within, value)
    measured = worst.shown(score, finished=True)
    if len(chosen) > 1:
        measured += f", the farthest of {len(chosen)} cells"
    elif not met and value:
        change = mean / value - 1
        measured += f" ({'+' if change > 0 else MINUS}{abs(change) * 100:.0f} %)"
    if not met and better:  # not met all the same: another figure was expected
        measured += ", better" if (mean > value) == (better == "higher") else ", worse"
    return Expectation(says, MET if met else BROKEN, measured)


def _no_score(group: Group, score: str, axes: Sequence[str]) -> str:
    name = title(group.axes, axes, ", ") or "the run"
    return f"{name} failed" if group.status == "failed" else f"{name} has no {score}"


def _progress(groups: Groups) -> str:
    done = sum(g.settled for g in groups)
    return f"{done} of {plural(len(groups), 'cell')} done"


def _idle(record: Record) -> bool:
    """Has a finished run learned nothing that a score shows?"""
    return record.status == "finished" and record.learning.verdict is False


def _finding(entry: Mapping, groups: Groups, axes: Sequence[str], complete: bool) -> Expectation:
    cause, severity = str(entry["finding"]), str(entry.get("severity") or "warning")
    least = SEVERITIES.index(severity) if severity in SEVERITIES else 1
    where = scope(entry.get("where"))
    chosen = [g for g in groups if matches(g, entry.get("where"))]
    runs: Counter[str] = Counter()  # that showed a cause
    for record in (r for g in chosen for r in g.records):
        grave = [f for f in record.findings if f.get("severity") in SEVERITIES[least:]]
        causes = {str(f.get("cause")) for f in grave if cause in ("none", f.get("cause"))}
        # the page says so above: the two must not contradict each other
        if cause == "none" and not causes and _idle(record):
            causes = {"nothing learned"}
        runs.update(causes)
    measured = ", ".join(f"{c} in {plural(n, 'run')}" for c, n in sorted(runs.items())) or "none"
    suffix = f", {where}" if where else ""
    absent = cause == "none"
    stronger = "" if severity == "error" else " or worse"
    says = f"no finding of severity {severity}{stronger}" if absent else f"the finding {cause}"
    says += suffix
    if runs:
        return Expectation(says, BROKEN if absent else MET, measured)
    if not chosen:
        return Expectation(says, *waiting(complete, "no such cell was run"))
    if not complete:
        return Expectation(says, OPEN, "none so far")
    failed = [g for g in chosen if g.status == "failed"]
    if failed:  # nobody looked at a run that never ended
        name = title(failed[0].axes, axes, ", ") or "the run"
        return Expectation(says, UNJUDGED, f"{name} failed")
    return Expectation(says, MET if absent else BROKEN, measured)
