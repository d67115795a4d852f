"""Matrix values that a run did not use: a resize filter where nothing is resized.

A task names such settings in its facts as `without_effect: [data.filter]`. The axis that set one is
blank in every table; runs that differ in nothing else are replicates of one cell, and comparisons
along that axis leave them out.
"""

from collections.abc import Mapping
from typing import Any

from famulus.journal.facts.numbers import JSON


def setting(config: Mapping, dotted: str) -> Any:
    """The value at `data.filter`; None where there is none."""
    value: Any = config
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def idle(facts: Mapping) -> list[str]:
    """Dotted settings that had no effect."""
    return [str(path) for path in facts.get("without_effect") or ()]


def applying(axes: Mapping[str, JSON], config: Mapping, facts: Mapping) -> dict[str, JSON]:
    """`axes` with None where the value stands in a setting without effect, and without `seed`
    where that is the seed of the run: it numbers replicates."""
    unused = [setting(config, path) for path in idle(facts)]
    seed = setting(config, "training.seed")
    return {
        # of one type: 1 and true are equal to Python
        axis: None if any(type(v) is type(value) and v == value for v in unused) else value
        for axis, value in axes.items()
        if not (axis == "seed" and value == seed)
    }


def without(config: Mapping, paths: list[str]) -> dict[str, Any]:
    """A copy of `config` without the settings at `paths`."""
    kept: dict[str, Any] = dict(config)
    for path in paths:
        head, _, rest = path.partition(".")
        if rest and isinstance(kept.get(head), Mapping):
            kept[head] = without(kept[head], [rest])
        elif not rest:
            kept.pop(head, None)
    return kept
