"""What runs of one experiment say beside each other (K24): can a difference be blamed on a setting?

Pure: filled configs, facts and scores in, findings out. Runs that differ in the seed alone, or in a
setting that had no effect on either (a filter where nothing is resized), are replicates.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from famulus.diagnosis.history import Finding

SECTIONS = ("data", "model", "loss", "training", "start_from")
UNSEEN = ("seed", "device", "workers", "threads")  # of training: replicates, and where it ran
CLEAR = 2.0  # standard errors of a difference of means
FEWEST = 2  # replicates that a spread can be told from
RESIZES = "data.size"  # whether it resizes is what a comparison of sizes asks, no second factor

Settings = Mapping[str, str]


@dataclass(frozen=True)
class Compared:
    """One finished run: its filled config, its last scores, and what it recorded of itself."""

    config: Mapping[str, Any]
    scores: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str]:
        """`settings` without those that its facts call `without_effect`."""
        idle = set(self.facts.get("without_effect") or ())
        return {key: value for key, value in settings(self.config).items() if key not in idle}


def compare(runs: Sequence[Compared], score: str = "loss") -> list[Finding]:
    """Findings over all runs of an experiment; none for a single setting."""
    groups: dict[str, list[Compared]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.settings, sort_keys=True), []).append(run)
    cells = [(found[0].settings, found) for found in groups.values()]
    if len(cells) < 2:
        return []
    each = [c for c, _ in cells]
    idle = {str(path) for run in runs for path in run.facts.get("without_effect") or ()}
    confounded = _uneven(each, sorted(idle)) or _confounded(each, idle)
    return [f for f in (confounded, _noise(cells, score)) if f]


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Dotted settings that decide what is computed, as text."""
    flat: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if not (path == "training" and key in UNSEEN):
                    walk(f"{path}.{key}" if path else str(key), inner)
        elif isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
            for i, inner in enumerate(value):
                walk(f"{path}.{i}", inner)
        else:
            flat[path] = json.dumps(value, sort_keys=True)

    walk("", {key: config[key] for key in SECTIONS if key in config})
    return flat


def differences(one: Settings, other: Settings, idle: Collection[str] = ()) -> list[str]:
    """Names of what differs; the same setting of several layers is one name.

    `idle`: settings without effect on some of the runs; one that is left out in the other cell
    follows from `data.size`.
    """
    changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    if RESIZES in changed:
        changed -= {path for path in idle if _in_one_only(path, one, other)}
    return sorted({".".join(p for p in key.split(".") if not p.isdigit()) for key in changed})


def _in_one_only(path: str, one: Settings, other: Settings) -> bool:
    return (path in one) != (path in other)


def _uneven(cells: Sequence[Settings], idle: Sequence[str]) -> Finding | None:
    """Two values of a setting meet only where another was at work in one cell and not in the other:
    sets at the size of one of them, so that a filter made the pictures of the other."""
    for path in idle:
        uneven: dict[tuple[str, ...], int] = {}
        even: set[tuple[str, ...]] = set()
        for a, b in combinations(cells, 2):
            found = [name for name in differences(a, b, idle) if name != path]
            if len(found) != 1 or found[0] == RESIZES:
                continue
            met = (found[0], *sorted(str(cell.get(found[0])) for cell in (a, b)))
            if _in_one_only(path, a, b):
                uneven[met] = uneven.get(met, 0) + 1
            elif a.get(path) == b.get(path):
                even.add(met)
        for met in sorted(uneven.keys() - even):
            name, one, other = met
            where = "the only pair" if uneven[met] == 1 else f"all {uneven[met]} pairs"
            return Finding(
                "comparison-confounded",
                "warning",
                f"{name} {one} and {other}: in {where} of cells that could tell them apart {path}"
                " was at work in one and without effect in the other; a difference may come from"
                " either",
                f"matrix: cells in which {path} is at work for both, or for neither; for a filter"
                " a data.size at which all sets are resized, or none is",
            )
    return None


def _confounded(cells: Sequence[Settings], idle: Collection[str]) -> Finding | None:
    """No two of the cells differ in one setting only."""
    pairs = [differences(a, b, idle) for a, b in combinations(cells, 2)]
    least = min(pairs, key=len)
    if len(least) < 2:
        return None
    named = ", ".join(least)
    return Finding(
        "comparison-confounded",
        "warning",
        f"of {len(cells)} cells no two differ in one setting only; the nearest two differ in"
        f" {len(least)}: {named}",
        "matrix: one axis a setting, so that cells differ in it alone; or cells between, each with"
        " one change more",
    )


def _noise(cells: Sequence[tuple[Settings, list[Compared]]], score: str) -> Finding | None:
    """Replicates differ as much among themselves as cells do."""
    found = []
    for _, runs in cells:
        values = [r.scores[score] for r in runs if score in r.scores]
        if len(values) >= FEWEST:
            found.append(values)
    if len(found) < 2:
        return None
    widest = 0.0
    told = ""
    for a, b in combinations(found, 2):
        error = (stdev(a) ** 2 / len(a) + stdev(b) ** 2 / len(b)) ** 0.5
        apart = abs(fmean(a) - fmean(b))
        # One pair that is clearly apart is enough: the comparison tells something.
        if error == 0 or apart / error >= CLEAR:
            return None
        if apart / error >= widest:
            widest = apart / error
            told = f"{fmean(a):.4g} and {fmean(b):.4g}, {apart:.2g} apart with {error:.2g} to spare"
    return Finding(
        "within-the-noise",
        "warning",
        f"val/{score} of {len(found)} cells: the means that lie farthest apart for their spread are"
        f" {told} as the standard error of that difference ({widest:.1f} of them, limit {CLEAR:g})",
        "replicates: 5 or more, a longer run, or nothing: there may be no difference",
    )
