"""Is the learning rate of the right size (K6), and can it reach anything in all (K7)?

Source: the range test of Smith 2017, arXiv 1506.01186: the rate grows from 1e-8 to 1 within 100
steps until the loss is four times its best. What it suggests is then tried against the configured
rate from the same start: the trial decides, not a table.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from famulus.config.schema import Optimizer
from famulus.diagnosis.controls.bench import LEAST, Bench, Check, Control, small_updates
from famulus.diagnosis.remedy import (
    NOBODY,
    Change,
    Owner,
    Remedy,
    Step,
    advise,
    learning_rate,
    significant,
)

NAME = "learning rate"
LOW, HIGH, STEPS = 1e-8, 1.0, 100
TRIED = 40  # steps at a rate
STOP = 4.0  # times the best loss
SMOOTH = 0.8  # of the running mean
BOUNDED = ("adam", "adamw", "nadam", "radam", "adamax")  # move at most about the rate a step
LEAST_STEPS = 10.0  # at the suggested rate that a whole run must amount to
HALF = 0.5  # of the suggestion's progress
SHARE = 0.25  # of a lower rate's progress, below which the configured one stands in its way
LITTLE = 0.05  # of the first loss: less is no progress
REACH = 0.5  # share of the distance that a run must be able to go


@dataclass(frozen=True)
class Sweep:
    """Smoothed loss at each rate of a range test."""

    rates: list[float]
    losses: list[float]
    diverged: float | None  # the rate at which it was stopped

    @property
    def suggestion(self) -> float | None:
        """The rate of the steepest fall, or None where nothing falls."""
        best = min(range(len(self.losses)), key=self.losses.__getitem__, default=0)
        if best < 2 or self.losses[0] - self.losses[best] < 1e-3 * abs(self.losses[0]):
            return None
        falls = [self.losses[i - 1] - self.losses[i] for i in range(1, best + 1)]
        return self.rates[1 + max(range(len(falls)), key=falls.__getitem__)]


def sweep(step: Callable[[float], float], steps: int = STEPS) -> Sweep:
    """`step(rate)`: one update at this rate; its loss. One net throughout."""
    rates: list[float] = []
    losses: list[float] = []
    mean, best = 0.0, math.inf
    for number in range(steps):
        rate = LOW * (HIGH / LOW) ** (number / max(1, steps - 1))
        value = step(rate)
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        # A mean that starts at 0 is too small at first: corrected, as Adam's are.
        smooth = mean / (1 - SMOOTH ** (number + 1))
        if not math.isfinite(value):
            return Sweep(rates, losses, rate)
        rates.append(rate)
        losses.append(smooth)
        best = min(best, smooth)
        # As a distance and not as a quotient: a loss may be negative.
        grown = smooth - best > (STOP - 1) * max(abs(best), 1e-12)
        # Noise of the first steps, at rates of next to nothing, is no divergence.
        if number > steps // 10 and grown and value > losses[0]:
            return Sweep(rates, losses, rate)
    return Sweep(rates, losses, None)


@dataclass(frozen=True)
class Tried:
    """A short training at one rate on one frozen batch, and how far it went."""

    first: float
    last: float  # mean of the last steps
    distance: float  # root mean square of what the weights had moved half way down


def rate(
    test: Sweep,
    tried: Callable[[float], Tried],
    spec: Optimizer,
    summed: float,
    updates: int,
    owner: Owner = NOBODY,
) -> Control:
    """`tried(rate)` trains from the same start. A trial at a tenth or at the suggestion decides.

    `summed`: the rate over all `updates` of the run.
    """
    suggestion, lr = test.suggestion, spec.lr
    figures = {"suggestion": suggestion, "configured": lr, "diverged": test.diverged}
    figures |= {"summed": summed, "updates": updates}
    shown = "nothing fell" if suggestion is None else f"steepest fall at {suggestion:.2g}"
    text = f"range test: {shown}"
    text += f", diverges at {test.diverged:.2g}" if test.diverged else ""
    text += f"; configured {lr:.3g}"
    own = tried(lr)
    figures |= {"first": own.first, "last": own.last}
    slower = _slower(tried, own, suggestion, lr)
    if slower is not None:
        lower, last = slower
        figures |= {"slower": lower, "at_slower": last}
        text += f"; {own.first:.4g} → {own.last:.4g} there, → {last:.4g} at {lower:.2g}"
        # what was tried: the suggestion may lie above the rate that fails
        remedy = advise(owner, learning_rate(significant(lower, 1)))
        return _judged("failed", text, remedy, figures, "rate-too-high")
    if suggestion is None or suggestion <= lr:
        return Control(NAME, "ok", text, figures=figures)
    suggestion, quick = _best(tried, suggestion, lr)
    figures |= {"tried": suggestion, "at_tried": quick.last}
    text += f"; {own.last:.4g} there, {quick.last:.4g} at {suggestion:.2g}"
    runs_away = quick.last < -10 * abs(quick.first)  # a loss without a bottom is another's cause
    if not quick.last < own.last or runs_away:
        return Control(NAME, "ok", text, figures=figures)
    enough, distance = _gentlest(tried, suggestion, quick, lr)
    figures |= {"enough": enough, "distance": distance}
    longer = Step(words="a longer run")
    remedy = advise(owner, learning_rate(significant(suggestion, 1)), longer)
    if spec.name.lower() in BOUNDED and summed < REACH * distance:
        text += f"; all {updates:,} updates together move a weight by at most {summed:.2g}; a trial"
        text += f" had gone {distance:.2g} half way down"
        return _judged("warning", text, remedy, figures, "rate-cannot-reach")
    worth = summed / enough
    figures["worth_steps"] = worth
    if worth < LEAST_STEPS:
        text += f"; the whole run amounts to {worth:.2g} updates at a rate of {enough:.2g}"
        if lr * updates / enough >= LEAST_STEPS:  # the rate would do: its schedule does not
            text += f", and would to {lr * updates / enough:.2g} if the rate stayed"
            constant = ((Change("training.schedule", {"name": "constant"}),),)
            later = Step(words="a schedule that falls later")
            remedy = advise(owner, Step(ways=constant), later)
            return _judged("warning", text, remedy, figures, "rate-cannot-reach")
        return _judged("warning", text, remedy, figures, "rate-too-low")
    return Control(NAME, "ok", text, figures=figures)


def _judged(verdict: str, text: str, remedy: Remedy, figures: dict, cause: str) -> Control:
    return Control(NAME, verdict, text, remedy.text, figures, cause, remedy.changes)


def _slower(
    tried: Callable[[float], Tried], own: Tried, suggestion: float | None, lr: float
) -> tuple[float, float] | None:
    """The lower rate that comes farthest and its last loss, where the configured one stands in the
    way: the loss rises, or falls by a small share of what it falls at the lower one."""
    far = own.first - own.last
    if far >= HALF * abs(own.first):
        return None
    rises = not own.last < own.first + LITTLE * abs(own.first)  # NaN too
    rows = [
        (rate, tried(rate).last)
        for rate in dict.fromkeys((lr / 10, suggestion, lr / 100))
        if rate and rate < lr
    ]
    falls = [row for row in rows if row[1] < own.first]
    if not falls:
        return None
    rate, last = min(falls, key=lambda row: row[1])
    ahead = own.first - last
    held = ahead > LITTLE * abs(own.first) and far < SHARE * ahead
    return (rate, last) if held or (rises and not last > own.last) else None


def _best(tried: Callable[[float], Tried], suggestion: float, lr: float) -> tuple[float, Tried]:
    """The suggestion, or a tenth or a hundredth of it where that comes further in the trial."""
    rates = [r for r in (suggestion, suggestion / 10, suggestion / 100) if r > lr]
    rows = [(rate, tried(rate)) for rate in rates]
    return min(rows, key=lambda row: row[1].last if math.isfinite(row[1].last) else math.inf)


def _gentlest(
    tried: Callable[[float], Tried], suggestion: float, quick: Tried, lr: float
) -> tuple[float, float]:
    """(the least rate, the least distance) that come half as far as the suggestion.

    The steepest fall lies high where norms undo a weight's scale: then the weights go astray.
    """
    rate, distance = suggestion, quick.distance
    for slower in (suggestion / 10, suggestion / 100):
        if slower <= lr:
            break
        trial = tried(slower)
        if not trial.first - trial.last >= HALF * (quick.first - quick.last):
            break
        rate, distance = slower, min(distance, trial.distance)
    return rate, distance


def short_run(bench: Bench, rate: float, steps: int) -> Tried:
    net, values, way = bench.net(), [], []
    net.rate(rate)
    before = [p.detach().clone() for p in net.model.parameters()]
    for _ in range(steps):
        # The same random numbers at each step and rate: only the rate makes a difference.
        values.append(net.step(bench.frozen, noise=0, at=0)["total"])
        way.append(_distance(net.model, before))
        if not values[-1] < float("inf"):  # NaN too
            return Tried(values[0], float("nan"), way[-1])
    half = (values[0] + min(values)) / 2
    at = next(i for i, v in enumerate(values) if v <= half)
    tail = values[-max(1, steps // 10) :]
    return Tried(values[0], sum(tail) / len(tail), way[max(at - 1, 0)])


def _distance(model: nn.Module, before: list[Tensor]) -> float:
    pairs = [(p, b) for p, b in zip(model.parameters(), before, strict=True) if p.requires_grad]
    total = sum(float((p.detach() - b).double().square().sum()) for p, b in pairs)
    return (total / max(1, sum(b.numel() for _, b in pairs))) ** 0.5


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    share, spec = limit_s / bench.small_s, bench.training.optimizer
    steps = int(min(TRIED, max(LEAST, share / 6)))
    net = bench.net()

    def step(rate: float) -> float:
        net.rate(rate)
        return net.step(bench.frozen, noise=0, at=0)["total"]

    test = sweep(step, int(min(STEPS, max(30, share / 2))))
    bench.suggestion = test.suggestion
    summed = bench.summed_rate()
    yield rate(test, lambda value: short_run(bench, value, steps), spec, *summed, bench.owner)


CHECK = Check(NAME, run, wanted=small_updates(300), least=small_updates(60))
