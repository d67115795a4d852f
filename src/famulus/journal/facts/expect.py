"""Promises of an experiment file (`expect:`), checked against what was measured.

Replicate means are compared. Pairs agree in every axis but the one in question. A child that went
on with other settings never settles its parent's promise.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from famulus.config.matrix import text
from famulus.journal.facts.effects import compared, matched
from famulus.journal.facts.findings import SEVERITIES
from famulus.journal.facts.group import Group, domain, title, token
from famulus.journal.facts.numbers import MINUS, figure, number, plain, plural
from famulus.journal.facts.unused_axes import setting

Groups = Sequence[Group]
KEPT, BROKEN, OPEN = "kept", "broken", "not yet"


@dataclass(frozen=True)
class Promise:
    """One line of the list: what was promised, what came of it, and the figure that says so."""

    says: str
    state: str  # kept | broken | not yet
    measured: str


def check(
    expect: Sequence[Mapping[str, Any]],
    groups: Groups,
    axes: Sequence[str],
    complete: bool,
    better: Callable[[str], str | None] = lambda score: None,
) -> tuple[Promise, ...]:
    """Each promise's state. `complete`: every planned cell has finished or failed.

    `better`: lower or higher, of a score's name; None where nobody said.
    """
    # other settings: what a child scores is nobody's promise
    own = [g for g in groups if not g.child_of]
    promises = []
    for promise in expect:
        if "score" in promise:
            promises.append(_score(promise, own, axes, complete, better(promise["score"])))
        elif "order" in promise:
            promises.append(_order(promise, own, axes, complete))
        elif "finding" in promise:
            promises.append(_finding(promise, own, complete))
    return tuple(promises)


def scores_of(expect: Sequence[Mapping[str, Any]] | None) -> set[str]:
    """The scores that promises speak of."""
    return {str(p[kind]) for p in expect or [] for kind in ("score", "order") if kind in p}


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
    """Largest |score - value|: '10%' of the value promised, or a number in the score's unit."""
    percent = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", str(within))
    return abs(value) * float(percent[1]) / 100 if percent else float(within)


def _where(where: Mapping | None) -> str:
    return ", ".join(f"{k} {plain(v)}" for k, v in (where or {}).items())


def _waiting(complete: bool, what: str) -> tuple[str, str]:
    """Nothing to judge by: an open promise while cells are under way, a broken one after."""
    return (BROKEN, what) if complete else (OPEN, what)


def _score(
    promise: Mapping, groups: Groups, axes: Sequence[str], complete: bool, better: str | None
) -> Promise:
    score, value = promise["score"], float(promise["value"])
    within = promise.get("within", "10%")
    where = _where(promise.get("where"))
    shown = str(within).replace("%", " %").replace("  ", " ")
    says = f"{where + ': ' if where else ''}{score} {plain(promise['value'])} within {shown}"
    chosen = [g for g in groups if matches(g, promise.get("where"))]
    if not chosen:
        return Promise(says, *_waiting(complete, "no such cell"))
    # failed: no score will come, so the promise is not merely open
    dead = [g for g in chosen if g.settled and not g.values(score, finished=True)]
    if dead:
        return Promise(says, BROKEN, f"{title(dead[0].axes, axes) or 'the run'} has no {score}")
    if not all(g.settled for g in chosen):
        return Promise(says, OPEN, _progress(chosen))
    means = [(m, g) for g in chosen if (m := g.mean(score, finished=True)) is not None]
    # the farthest: a promise of several cells holds if it holds in each
    mean, worst = max(means, key=lambda pair: abs(pair[0] - value))
    kept = abs(mean - value) <= tolerance(within, value)
    measured = worst.shown(score, finished=True)
    if len(chosen) > 1:
        measured += f", the farthest of {len(chosen)} cells"
    elif not kept and value:
        change = mean / value - 1
        measured += f" ({'+' if change > 0 else MINUS}{abs(change) * 100:.0f} %)"
    if not kept and better:  # it broke all the same: what was promised was another figure
        measured += ", better" if (mean > value) == (better == "higher") else ", worse"
    return Promise(says, KEPT if kept else BROKEN, measured)


def _progress(groups: Groups) -> str:
    done = sum(g.settled for g in groups)
    return f"{done} of {plural(len(groups), 'cell')} done"


def _order(promise: Mapping, groups: Groups, axes: Sequence[str], complete: bool) -> Promise:
    score, axis, order_text = promise["order"], promise["by"], str(promise["says"])
    scope = promise.get("in") or promise.get("in_") or "every pair"
    sign = "<" if "<" in order_text else ">"
    wanted = [v.strip() for v in order_text.split(sign)]
    ascending = wanted if sign == "<" else wanted[::-1]
    where = _where(promise.get("where"))
    says = f"{score}: {f' {sign} '.join(wanted)} in {scope.replace('mean', 'the mean')}"
    says += f", {where}" if where else ""
    axes = compared(groups, axis, axes)
    groups = [g for g in groups if matches(g, promise.get("where"))]
    by_name = {text(v): token(v) for v in domain(groups, axis)}
    unknown = [v for v in ascending if v not in by_name]
    if unknown:
        return Promise(says, *_waiting(complete, f"no cell with {axis} {unknown[0]}"))
    order = [by_name[v] for v in ascending]
    holds, judged, missing = 0, 0, 0
    sums: dict[str, list[float]] = {key: [] for key in order}
    for one in matched(groups, axis, axes):
        # all pairs, not neighbours alone: one missing cell must not hide the others
        for low, high in combinations(order, 2):
            if low not in one or high not in one:
                continue
            a, b = one[low].mean(score, finished=True), one[high].mean(score, finished=True)
            # a mean may still move while a replicate runs
            if a is None or b is None or not (one[low].settled and one[high].settled):
                missing += 1
                continue
            judged += 1
            # strictly: equal means keep no order
            holds += a < b
        means = {k: one[k].mean(score, finished=True) for k in order if k in one}
        values = {k: mean for k, mean in means.items() if mean is not None}
        # sets of cells with all values only: else the means would be of different cells
        if len(values) == len(order):
            for key, value in values.items():
                sums[key].append(value)
    if scope == "mean":
        return _mean_order(says, ascending, [sums[k] for k in order], complete and not missing)
    measured = f"{holds} of {judged}" if judged else "no pair yet"
    if holds < judged:
        return Promise(says, BROKEN, measured)
    if missing or not judged:
        state = BROKEN if complete else OPEN
        rest = f", {missing} without a score" if missing and complete else ""
        rest = rest or (f", {missing} to come" if missing else "")
        return Promise(says, state, measured + rest if judged else _waiting(complete, "no pair")[1])
    return Promise(says, KEPT if complete else OPEN, measured + ("" if complete else " so far"))


def _mean_order(says: str, names: list[str], columns: list[list[float]], complete: bool) -> Promise:
    if not all(columns):
        return Promise(says, *_waiting(complete, "no set of cells that can be compared"))
    means = [sum(c) / len(c) for c in columns]
    measured = ", ".join(f"{n} {figure(m)}" for n, m in zip(names, means, strict=True))
    rising = all(a < b for a, b in pairwise(means))
    if not complete:
        return Promise(says, OPEN, measured + " so far")
    return Promise(says, KEPT if rising else BROKEN, measured)


def _finding(promise: Mapping, groups: Groups, complete: bool) -> Promise:
    cause, severity = str(promise["finding"]), str(promise.get("severity") or "warning")
    least = SEVERITIES.index(severity) if severity in SEVERITIES else 1
    where = _where(promise.get("where"))
    runs: Counter[str] = Counter()  # that showed a cause
    for record in (r for g in groups if matches(g, promise.get("where")) for r in g.records):
        grave = [f for f in record.findings if f.get("severity") in SEVERITIES[least:]]
        runs.update({str(f.get("cause")) for f in grave if cause in ("none", f.get("cause"))})
    measured = ", ".join(f"{c} in {plural(n, 'run')}" for c, n in sorted(runs.items())) or "none"
    suffix = f", {where}" if where else ""
    if cause == "none":
        stronger = "" if severity == "error" else " or worse"
        says = f"no finding of severity {severity}{stronger}{suffix}"
        state = BROKEN if runs else KEPT if complete else OPEN
        return Promise(says, state, measured if runs or complete else "none so far")
    says = f"the finding {cause}{suffix}"
    return Promise(says, KEPT if runs else BROKEN if complete else OPEN, measured)
