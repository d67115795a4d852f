"""What runs of one experiment say beside each other (K24): can a difference be blamed on a setting?

Pure: filled configs and scores in, findings out. Runs that differ in the seed alone are replicates.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from famulus.diagnosis.history import Finding

SECTIONS = ("data", "model", "loss", "training", "start_from")
UNSEEN = ("seed", "device", "workers", "threads")  # of training: replicates, and where it ran
CLEAR = 2.0  # standard errors of a difference of means
FEWEST = 2  # replicates that a spread can be told from


@dataclass(frozen=True)
class Compared:
    """One finished run: its filled config and its last scores."""

    config: Mapping[str, Any]
    scores: Mapping[str, float]


def compare(runs: Sequence[Compared], score: str = "loss") -> list[Finding]:
    """Findings over all runs of an experiment; none for a single setting."""
    groups: dict[str, list[Compared]] = {}
    for run in runs:
        groups.setdefault(json.dumps(settings(run.config), sort_keys=True), []).append(run)
    cells = [(settings(found[0].config), found) for found in groups.values()]
    if len(cells) < 2:
        return []
    return [f for f in (_confounded([c for c, _ in cells]), _noise(cells, score)) if f]


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


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Names of what differs; the same setting of several layers is one name."""
    changed = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return sorted({".".join(p for p in key.split(".") if not p.isdigit()) for key in changed})


def _confounded(cells: Sequence[Mapping[str, str]]) -> Finding | None:
    """No two of the cells differ in one setting only."""
    pairs = [differences(a, b) for a, b in combinations(cells, 2)]
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


def _noise(cells: Sequence[tuple[Mapping[str, str], list[Compared]]], score: str) -> Finding | None:
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
