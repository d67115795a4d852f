"""The learning rate: one formula, for the step that trains and for the forecast of what is to come.

The rate is a pure function of the position in the data, counted in inputs (examples seen), so that
resuming, changing the batch size and extending a run need no scheduler state. Only `plateau` has
some: the factor that its counters have left of the base rate, which a checkpoint carries.

A schedule is a name in `config.schema.Shape` and a function in `SHAPES`; a test compares the two.

Source: cosine, Loshchilov & Hutter 2017, arXiv 1608.03983.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from famulus.config.schema import Every, Schedule

Rate = Callable[[float], float]  # learning rate at a number of inputs


@dataclass(frozen=True)
class Place:
    """A position in the data, with what converts the units of an interval."""

    inputs: float  # seen before this step
    budget: float  # inputs in all
    per_step: int  # inputs of one step
    per_epoch: int  # training samples

    def period(self, every: Every) -> float:
        """The interval in inputs. Raises ValueError if the length of an epoch is not known."""
        if every.epochs is not None and not self.per_epoch:
            raise ValueError("expected the number of training samples, received none")
        return every.in_inputs(self.per_step, self.per_epoch)

    def done(self, warmup: int) -> float:
        """Fraction of the budget after the warm-up, 0 to 1."""
        # a warm-up as long as the run leaves nothing to divide by
        return min(1.0, max(0.0, (self.inputs - warmup) / max(1, self.budget - warmup)))


def _constant(schedule: Schedule, base: float, at: Place) -> float:
    return base


def _cosine(schedule: Schedule, base: float, at: Place) -> float:
    half = (1 + math.cos(math.pi * at.done(schedule.warmup_inputs))) / 2
    return schedule.final_lr + (base - schedule.final_lr) * half


def _linear(schedule: Schedule, base: float, at: Place) -> float:
    return base + (schedule.final_lr - base) * at.done(schedule.warmup_inputs)


def _step(schedule: Schedule, base: float, at: Place) -> float:
    assert schedule.every is not None  # a step schedule has both
    assert schedule.factor is not None
    # counted from the start, not carried along: a resumed run has made the same
    reductions = int(at.inputs / at.period(schedule.every))
    return max(schedule.final_lr, base * schedule.factor**reductions)


def _plateau(schedule: Schedule, base: float, at: Place) -> float:
    return max(schedule.final_lr, base)


SHAPES: dict[str, Callable[[Schedule, float, Place], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "linear": _linear,
    "step": _step,
    "plateau": _plateau,
}
FOLLOWS_SCORES = frozenset({"plateau"})  # what is to come depends on scores that are to come


def learning_rate(schedule: Schedule, base: float, at: Place, factor: float = 1.0) -> float:
    """Learning rate of the step that starts at `at`: linear warm-up, then the named shape.

    The first step of a warm-up has the rate that is due at its end: no step is wasted on rate 0.
    `factor` multiplies the base rate: what a plateau or a roll-back has left of it.
    """
    base = base * factor
    if at.inputs < schedule.warmup_inputs:
        return base * min(1.0, (at.inputs + at.per_step) / schedule.warmup_inputs)
    return SHAPES[schedule.name](schedule, base, at)


def rate_to_come(schedule: Schedule, base: float, start: Place) -> Rate:
    """`learning_rate` over inputs, with the units and the budget of `start`.

    Raises ValueError if no formula tells it: a plateau follows scores that are still to come, and
    an interval in epochs needs their length.
    """
    if schedule.name in FOLLOWS_SCORES:
        raise ValueError(f"a {schedule.name} schedule follows scores that are still to come")
    # One rate behind the warm-up: what can't be told raises here, not when it is asked for later.
    learning_rate(schedule, base, replace(start, inputs=schedule.warmup_inputs))
    return lambda inputs: learning_rate(schedule, base, replace(start, inputs=inputs))
