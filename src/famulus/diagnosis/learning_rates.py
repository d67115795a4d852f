"""Which learning rate to try next, from what the run itself shows.

A step that changes a weight by a thousandth or two of itself is of the usual size (A. Karpathy,
CS231n notes, "Ratio of weights:updates"); the ratio grows with the learning rate. What a check or a
trial has tried counts for more. All rates are those of the schedule's peak, which is the setting.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

from famulus.diagnosis.history import History
from famulus.diagnosis.layers import ratio, series
from famulus.diagnosis.remedy import Step, learning_rate, significant

TARGET = 2e-3  # update over weight
HIGH, LOW = 0.03, 1e-4  # beyond these the learning rate is suspect
LEAST, MOST = 1e-2, 1e4  # factors by which a ratio may change a learning rate: it is no law
TINY = 1e-5  # where no ratio is known, a learning rate up to which too low is likelier
SANE = 0.1  # of a rate above 1, whose hundredth is hopeless as well
STEP = 10.0  # at least, and where nothing tells how much
EARLY = 6  # samples, the first left out: later, dead units move nothing

Direction = Literal["lower", "higher", ""]


@dataclass(frozen=True)
class Ratios:
    """Update over weight of layers at early samples, and the learning rate of these steps."""

    of: dict[str, float]  # median over the samples, by layer
    rate: float
    first: int  # steps
    last: int
    start: float = 0.0  # of the first sample, median over layers

    @property
    def typical(self) -> float:
        return median(self.of.values())

    @property
    def worst(self) -> str:
        return max(self.of, key=lambda name: self.of[name])


def ratios(history: History, early: int = EARLY) -> Ratios | None:
    """Of layers with two such samples at least; None without one."""
    of: dict[str, float] = {}
    steps: list[int] = []
    for name, seen in series(history).items():
        known = [
            (step, r)
            for step, layer in seen[1:early]
            if layer["numbers"] and (r := ratio(layer)) is not None
        ]
        if len(known) >= 2:
            of[name] = median(r for _, r in known)
            steps += [step for step, _ in known]
    if not of:
        return None
    rate = median(rate_at(history, step) for step in sorted(set(steps)))
    start = [r for seen in series(history).values() if (r := ratio(seen[0][1])) is not None]
    return Ratios(of, rate, min(steps), max(steps), median(start) if start else 0.0)


def peak(history: History) -> float:
    """The setting; of a loop of one's own, whose scheduler may have raised it, what was logged, or
    what it will be raised to (torch's `initial_lr`)."""
    value = history.owner.value
    logged = max((event.get("lr") or 0.0 for event in history.train), default=0.0)
    keys = ("training.optimizer.lr", "training.optimizer.initial_lr")
    return max(logged, *(float(value(key, 0.0)) for key in keys))


def rate_at(history: History, step: int) -> float:
    """The learning rate of the first log at or after a step."""
    later = (e["lr"] for e in history.train if e["step"] >= step and e.get("lr") is not None)
    last = history.train[-1].get("lr") if history.train else None
    return float(next(later, peak(history) if last is None else last))


def kept(history: History) -> float:
    """What the schedule left of the highest rate: the sum over the steps, as a share of `peak` at
    each of them."""
    logs = [(e["step"], float(e["lr"])) for e in history.train if e.get("lr") is not None]
    if not logs or not (top := peak(history)):
        return 1.0
    summed, before = 0.0, (0, logs[0][1])
    for step, rate in logs:  # by trapezoids
        summed += (step - before[0]) * (rate + before[1]) / 2
        before = step, rate
    return summed / (top * before[0]) if before[0] else 1.0


def direction(history: History) -> Direction:
    """Is the learning rate too high or too low? Empty where nothing tells."""
    blamed = {event.get("cause") for event in history.controls if event["verdict"] != "ok"}
    if "rate-too-high" in blamed:
        return "lower"
    if blamed & {"rate-too-low", "rate-cannot-reach"}:
        return "higher"
    found = ratios(history)
    if found is None:
        return "higher" if peak(history) <= TINY else ""
    if LOW <= found.typical <= HIGH:
        return ""
    return "lower" if found.typical > HIGH else "higher"


def lower(history: History) -> float:
    """A rate to try where this one is too high: a tenth, or less if the ratio asks for that."""
    top = peak(history)
    tried = [rate for rate in _tried(history) if 0 < rate < top]
    if tried:
        return significant(min(tried))
    found = ratios(history)
    asked = top / STEP if found is None else found.rate * TARGET / found.typical
    lowered = max(LEAST * top, min(top / STEP, asked))
    return significant(lowered if lowered <= 1 else SANE)


def higher(history: History) -> float:
    """A rate to try where this one is too low: ten times, or more if the ratio asks for that."""
    top = peak(history) or 1e-4
    tried = [rate for rate in _tried(history) if rate > top]
    if tried:
        return significant(max(tried))
    found = ratios(history)
    asked = top * STEP if found is None else found.rate * TARGET / found.typical
    return significant(min(MOST * top, max(top * STEP, asked)))


def step(history: History, rate: float, why: str = "", layer: str = "") -> Step:
    """That rate; of several optimizers each at the same share of its own, or `layer`'s alone."""
    top = peak(history)
    return learning_rate(rate, why, rate / top if top else None, layer)


def steps(history: History) -> list[Step]:
    """What to try of the learning rate: the way that the evidence points, or either way."""
    way = direction(history)
    if way:
        found = ratios(history)
        why = (
            "" if found is None else f"a step changes a layer by {found.typical:.1g} of its weights"
        )
        why += f"; {TARGET:g} is usual" if why else ""
        return [step(history, lower(history) if way == "lower" else higher(history), why)]
    top = peak(history)
    slow, fast = significant(top / STEP), significant(top * STEP)
    return [
        step(history, slow),
        step(history, fast, "a short run each: the one whose loss falls tells which way"),
    ]


def _tried(history: History) -> Iterator[float]:
    """Rates at which a check or a trial came farther."""
    for event in history.controls:
        figures = event.get("figures") or {}
        keys: tuple[str, ...]
        if event["name"] == "learning rate" and event["verdict"] in ("failed", "warning"):
            keys = ("slower", "tried")
        elif str(event["name"]).startswith("trial rate-"):
            keys = ("rate",)
        else:
            continue
        yield from (float(figures[key]) for key in keys if figures.get(key))
