"""Expectations of an order: which values of an axis score lower, in every pair or in the mean.

Pairs agree in every axis but the one in question, and in those that always change with it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

from famulus.config.matrix import text
from famulus.journal.facts.effects import (
    compared,
    degrees,
    distinguishable,
    matched,
    pooled_spread,
    student,
    together,
)
from famulus.journal.facts.expectation import (
    BROKEN,
    MET,
    OPEN,
    UNJUDGED,
    Expectation,
    scope,
    waiting,
)
from famulus.journal.facts.group import Group, domain, token
from famulus.journal.facts.numbers import figure, plural

Groups = Sequence[Group]
Sets = Sequence[Mapping[str, Group]]  # cells that may be compared, by the token of their value


def order(entry: Mapping, groups: Groups, axes: Sequence[str], complete: bool) -> Expectation:
    """`entry`: {"order": score, "by": axis, "says": "a < b", "in": "every pair" or "mean"}.

    `groups`: cells that its `where` matches.
    """
    score, axis, order_text = entry["order"], entry["by"], str(entry["says"])
    extent = entry.get("in") or entry.get("in_") or "every pair"
    sign = "<" if "<" in order_text else ">"
    wanted = [v.strip() for v in order_text.split(sign)]
    ascending = wanted if sign == "<" else wanted[::-1]
    where = scope(entry.get("where"))
    says = f"{score}: {f' {sign} '.join(wanted)} in {extent.replace('mean', 'the mean')}"
    says += f", {where}" if where else ""
    moving = together(groups, axis, axes)
    moved = f"; {', '.join(moving)} {'changes' if len(moving) == 1 else 'change'} with {axis}"
    rest = compared(groups, axis, axes)
    by_name = {text(v): token(v) for v in domain(groups, axis)}
    unknown = [v for v in ascending if v not in by_name]
    if unknown:
        return Expectation(says, *waiting(complete, f"no cell with {axis} {unknown[0]} was run"))
    keys = [by_name[v] for v in ascending]
    sets = matched(groups, axis, rest)
    if extent == "mean":
        judged = _mean_order(says, ascending, keys, sets, score, complete)
    else:
        judged = _every_pair(says, keys, sets, score, complete)
    compared_cells = [g for one in sets for g in one.values()]
    if judged.state in (MET, BROKEN) and all(g.learned is False for g in compared_cells):
        return replace(judged, state=UNJUDGED, measured="none of the cells has learned anything")
    if judged.state == UNJUDGED and not sets:
        why = f"no two cells differ in {axis} alone"
        return replace(judged, measured=why)
    return replace(judged, measured=judged.measured + moved) if moving else judged


def _every_pair(
    says: str, keys: Sequence[str], sets: Sets, score: str, complete: bool
) -> Expectation:
    holds, judged, missing, alike = 0, 0, 0, 0
    groups = [g for one in sets for g in one.values()]
    for one in sets:
        # all pairs, not neighbours alone: one missing cell must not hide the others
        for low, high in combinations(keys, 2):
            if low not in one or high not in one:
                continue
            a, b = _settled_mean(one[low], score), _settled_mean(one[high], score)
            if a is None or b is None:
                missing += 1
                continue
            judged += 1
            if distinguishable(one[low], one[high], score, groups) is False:
                alike += 1
                continue
            # strictly: equal means keep no order
            holds += a < b
    if not judged:
        return Expectation(says, *waiting(complete, "no pair has both scores"))
    measured = f"{holds} of {plural(judged, 'pair')}"
    if alike:
        measured += f", {alike} within the seed-to-seed spread"
    if holds + alike < judged:
        return Expectation(says, BROKEN, measured)
    if alike and not missing and complete:
        return Expectation(says, UNJUDGED, measured)
    if missing:
        rest = "without a score" if complete else "to come"
        return Expectation(says, *waiting(complete, f"{measured}, {missing} {rest}"))
    return Expectation(says, MET if complete else OPEN, measured + ("" if complete else " so far"))


def _mean_order(
    says: str, names: Sequence[str], keys: Sequence[str], sets: Sets, score: str, complete: bool
) -> Expectation:
    columns: dict[str, list[float]] = {key: [] for key in keys}
    moving, lost = 0, 0  # sets whose means may change yet, and those that will never have all
    for one in sets:
        values = {k: _settled_mean(one[k], score) for k in keys if k in one}
        known = {k: v for k, v in values.items() if v is not None}
        # sets of cells with all values only: else the means would be of different cells
        if len(known) == len(keys):
            for key, value in known.items():
                columns[key].append(value)
        elif len(values) == len(keys):
            settled = all(one[k].settled for k in keys)
            moving, lost = moving + (not settled), lost + settled
    if not all(columns.values()):
        return Expectation(says, *waiting(complete, "no cells that compare have all scores"))
    means = [math.fsum(c) / len(c) for c in columns.values()]
    measured = ", ".join(f"{n} {figure(m)}" for n, m in zip(names, means, strict=True))
    if lost:
        measured += f" ({plural(lost, 'set')} of cells without all scores left out)"
    if not complete or moving:
        return Expectation(says, OPEN, measured + " so far")
    falling = [(m, n) for m, n in pairwise(range(len(means))) if not means[m] < means[n]]
    alike = [p for p in pairwise(range(len(means))) if _alike(p, keys, means, sets, score)]
    if set(falling) - set(alike):
        return Expectation(says, BROKEN, measured)
    if alike:
        return Expectation(says, UNJUDGED, measured + ", within the seed-to-seed spread")
    return Expectation(says, MET, measured)


def _alike(
    pair: tuple[int, int], keys: Sequence[str], means: Sequence[float], sets: Sets, score: str
) -> bool:
    """Is the difference of two means over sets of cells within what seeds do, at 95 %?"""
    whole = [one for one in sets if all(k in one for k in keys)]
    groups = [g for one in whole for g in one.values()]
    spread = pooled_spread(groups, score, relative=False)
    if spread is None:
        return False
    # of a mean over cells: each cell's own mean adds its variance
    counts = [len(one[keys[n]].values(score, finished=True)) for n in pair for one in whole]
    error = spread * math.sqrt(sum(1 / n for n in counts if n)) / len(whole)
    return abs(means[pair[0]] - means[pair[1]]) <= student(degrees(groups, score)) * error


def _settled_mean(group: Group, score: str) -> float | None:
    # a mean may still move while a replicate runs
    return group.mean(score, finished=True) if group.settled else None
