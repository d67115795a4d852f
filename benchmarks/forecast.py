"""How right forecasts at 5 to 10 % of finished runs were, by half. Nothing is trained here.

Two halves of the experiments: the first was looked at while settings of the law were chosen
(diagnosis/foresight/forecast.py), the second was only scored. Which one an experiment is in
follows from its name, without `-healthy`, so that a case and its twin stay together.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from famulus.journal.facts.forecast import Judgement, judge
from famulus.journal.facts.read import read_run
from famulus.journal.facts.record import Record
from famulus.launch.store import open_store

HALVES = ("development", "scored")


def half(experiment: str) -> str:
    """`development` where SHA-256 of the name, read as a number, is even; else `scored`."""
    name = experiment.removesuffix("-healthy")
    return HALVES[int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2]


def measure(quick: bool, store: Sequence[str] = ()) -> dict[str, Any]:
    """`store`: folders or URLs; else FAMULUS_STORE, else `runs`. `quick` changes nothing."""
    runs: dict[str, Any] = {}
    for place in store or [None]:
        for run in open_store(place).runs():
            known = runs.setdefault(run.id, run)
            if len(run.experiment) < len(known.experiment):  # a store within another: its own name
                runs[run.id] = run
    return figures(map(read_run, runs.values()))


def figures(records: Iterable[Record]) -> dict[str, Any]:
    """Of all, of each half, and of each experiment that has a curve to judge."""
    records = list(records)

    def of(chosen: Callable[[str], bool]) -> dict[str, Any]:
        return _flat(judge(r for r in records if chosen(r.experiment)))

    found = {"together": of(lambda name: True)}
    found |= {which: of(lambda name, w=which: half(name) == w) for which in HALVES}
    names = sorted({r.experiment for r in records})
    each = [(name, of(lambda other, n=name: other == n)) for name in names]
    found["experiments"] = [{"experiment": n, "half": half(n), **f} for n, f in each if f["curves"]]
    return found


def _flat(judged: Judgement) -> dict[str, Any]:
    found = judged.json()
    return found if judged.result is None else found | {"high_over_low": judged.result.width}


def told(found: dict[str, Any]) -> str:
    """Two Markdown tables: the halves, and the experiments of each."""
    columns = [found[which] for which in (*HALVES, "together")]
    lines = [f"| | {' | '.join(HALVES)} | together |", "|:--|--:|--:|--:|"]
    for name, key, show in ROWS:
        cells = (show(column.get(key)) for column in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| experiment | half | runs | cut-offs | median error | of the last value | inside |",
    ]
    lines += ["|:--|:--|--:|--:|--:|--:|--:|"]
    for row in found["experiments"]:
        cells = (show(row.get(key)) for _, key, show in EACH)
        lines.append(f"| `{row['experiment']}` | {row['half']} | {' | '.join(cells)} |")
    for reason, runs in found["together"]["left_out"].items():
        lines.append(f"left out, {runs} x {reason}")
    return "\n".join(lines)


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return (
        "" if value is None else f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"
    )


def _times(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.2g}"


ROWS = (
    ("runs", "curves", _count),
    ("cut-offs", "cutoffs", _count),
    ("median error", "median_error", _share),
    ('over that of "the last value stays"', "error_over_last", _times),
    ("ends inside the 80 % interval", "interval_covers", _share),
    ("refused", "refusals", _share),
    ("high over low, median", "high_over_low", _times),
)
EACH = (
    ("runs", "curves", _count),
    ("cut-offs", "cutoffs", _count),
    ("median error", "median_error", _share),
    ("of the last value", "median_error_of_last_value", _share),
    ("inside", "interval_covers", _share),
)
