"""What a run measured over training, as arrays, and what happened meanwhile.

Units: step = optimizer updates, inputs = examples seen, seconds = training time of all attempts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.journal.facts.numbers import number

Event = dict[str, Any]  # a line or a file of a run, as whoever wrote it meant it


@dataclass(frozen=True)
class Series:
    """One measured quantity over training: arrays of equal length, finite values only."""

    step: np.ndarray
    inputs: np.ndarray
    seconds: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)


def series_of(events: Iterable[Event]) -> dict[str, Series]:
    """By name: train/total, val/loss, lr, rate, wait, grad_norm, memory (MB), ..."""
    points: dict[str, list[tuple[float, ...]]] = {}
    seconds = 0.0  # a probe is written with the log of its step: it has no clock
    for event in events:
        kind = event.get("kind")
        if kind not in ("train", "val", "probe"):
            continue
        seconds = event.get("s") or seconds
        at = (event.get("step") or 0, event.get("inputs") or 0, seconds)
        values = {f"{kind}/{k}": v for k, v in (event.get("values") or {}).items()}
        values |= _of_probe(event) if kind == "probe" else {}
        values |= {k: event[k] for k in ("lr", "rate", "wait", "grad_norm") if k in event}
        for key, value in values.items():
            # NaN and text of a damaged line would end the figure
            if number(value):
                points.setdefault(key, []).append((*at, value))
    return {key: Series(*np.asarray(rows, dtype=float).T) for key, rows in points.items()}


def _of_probe(event: Event) -> Event:
    """What of a probe is a curve of the whole run."""
    rank = event.get("rank") or {}
    values = {f"rank of {rank.get('layer')}": rank["effective"]} if rank.get("effective") else {}
    return values | {"memory (MB)": event["memory_mb"]} if event.get("memory_mb") else values


def marks_of(events: Iterable[Event]) -> tuple[Event, ...]:
    """One mark of a kind at a step, the one that says most."""
    marks: dict[tuple, Event] = {}
    for event in events:
        if event.get("kind") != "mark":
            continue
        key = (event.get("step"), str(event.get("what")))
        # the longer text says more
        if key not in marks or len(str(event.get("text"))) > len(str(marks[key].get("text"))):
            marks[key] = event
    return tuple(marks.values())
