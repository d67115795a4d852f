"""Measures of a curve that several rules read. Curves are pairs of lists: inputs, values."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from famulus.diagnosis.history import Event, History

Curve = tuple[list[int], list[float]]


def curve(events: Sequence[Event], name: str) -> Curve:
    """Where `name` was recorded and finite."""
    points = [(e["inputs"], e["values"].get(name)) for e in events]
    kept = [(at, v) for at, v in points if v is not None and math.isfinite(v)]
    return [at for at, _ in kept], [v for _, v in kept]


def training_loss(history: History) -> Curve:
    """The logged total, noise and all; empty where optimizers pull it either way."""
    return ([], []) if history.opposed else curve(history.train, "total")


FALLEN = 0.5  # of the first loss


def fallen(history: History) -> bool:
    """Has the training loss halved? Where no baseline is known, that is what speaks of learning."""
    _, loss = training_loss(history)
    return bool(loss) and loss[-1] <= loss[0] - FALLEN * abs(loss[0])


def travel(history: History) -> list[float]:
    """Sum of the learning rate over steps, up to each training log: how far Adam can have moved
    a weight at most, about."""
    total, before, found = 0.0, 0, []
    for event in history.train:
        total += event.get("lr", 0.0) * (event["step"] - before)
        before = event["step"]
        found.append(total)
    return found


def line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """(slope, R^2) of the least-squares line."""
    mx, my = fmean(x), fmean(y)
    sxx = sum((a - mx) ** 2 for a in x)
    syy = sum((b - my) ** 2 for b in y)
    sxy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    if sxx == 0 or syy == 0:
        return 0.0, 0.0
    return sxy / sxx, sxy * sxy / (sxx * syy)


def ended(history: History, share: float = 0.95) -> bool:
    """Whether the budget was used, as far as it is known."""
    budget = history.facts.get("budget")
    last = max((e["inputs"] for e in (*history.train[-1:], *history.val[-1:])), default=0)
    return budget is None or last >= share * budget


def tail(history: History) -> float:
    """Share of the way that the last half of the steps could still go."""
    way, events = travel(history), history.train
    if not way or not way[-1]:
        return 0.0
    half = events[-1]["step"] / 2
    gone = [w for w, event in zip(way, events, strict=True) if event["step"] <= half]
    return 1 - (gone[-1] if gone else 0.0) / way[-1]


LOGS = 12
STRAIGHT = 0.97  # R^2
STEEP = 0.75  # slope of the last third, of the whole line's


def straight(history: History) -> float | None:
    """The way gone by a run that ended on a straight line down, in the way; else None."""
    _, loss = training_loss(history)
    way = travel(history)
    if len(loss) < LOGS or len(loss) != len(way) or not ended(history):
        return None
    slope, fit = line(way, loss)
    start = len(loss) - max(4, len(loss) // 3)
    # A curve that bends late fits a line well, too: its last third must still fall as the whole.
    last, _ = line(way[start:], loss[start:])
    return way[-1] if slope < 0 and fit >= STRAIGHT and last <= STEEP * slope else None


@dataclass(frozen=True)
class Flat:
    """A validation loss that no longer changes."""

    last: float
    change: float  # relative, over `count` validations
    count: int
    since: int  # inputs
    floor: float | None  # what the best constant scores


STILL = 0.005  # relative change over the last third that counts as none
VALIDATIONS = 6


def flat(history: History, by_way: bool = False) -> Flat | None:
    """The last third of the validations, if the loss lies still there.

    by_way: and the last third of the way that the learning rate allowed, too: at the end of a
    schedule every loss stands still.
    """
    at, loss = ([], []) if history.opposed else curve(history.val, "loss")
    # A straight fall may be slow without having come to an end.
    if len(loss) < VALIDATIONS or straight(history) is not None:
        return None
    count = max(3, len(loss) // 3)
    if by_way and (way := travel(history)):
        since = history.train[bisect_left(way, way[-1] * 2 / 3)]["inputs"]
        count = max(count, sum(n >= since for n in at))
    part = loss[-count:]
    level = fmean(part)
    if level <= 0 or (max(part) - min(part)) > STILL * level:
        return None
    change = (part[-1] - part[0]) / level
    return Flat(part[-1], change, count, at[-count], history.floor("loss", "best constant"))
