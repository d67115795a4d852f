"""A run's own forecast: its settings and curves into the terms of `forecast`.

The shape of a curve is that of `recon` where the training loss has one: a KL that is switched off
in the first steps falls by a factor of hundreds, and that is no progress. A task whose loss is the
logarithm of an error (a likelihood with a scale of its own, which may be negative) says so as
`loss_scale: log` among its facts; the law then holds for exp(loss). Where training alone meets
noisy targets (`noisy_targets`), its loss stops at the noise, and validation gives the shape.
Of the floors beside the scores, that of the best constant answer counts (`constant_of`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from famulus.config.schema import Schedule
from famulus.diagnosis.foresight.backtest import SHARES, Curve
from famulus.diagnosis.foresight.forecast import Forecast, Points, Refusal, forecast
from famulus.schedule import Place, Rate, rate_to_come

CONSTANTS = ("best constant", "best constant histogram", "zero image", "unigram")


def budget_of(config: Mapping[str, Any], facts: Mapping[str, Any]) -> float:
    """Examples in all; 0 where that is not known yet."""
    training = config.get("training") or {}
    epochs = (training.get("epochs") or 0) * (facts.get("train_samples") or 0)
    return float(facts.get("budget") or training.get("inputs") or epochs)


def rate_of(config: Mapping[str, Any], facts: Mapping[str, Any]) -> Rate | Refusal:
    """The learning rate still to come, or why nobody can know it."""
    training = config.get("training") or {}
    schedule, lr = training.get("schedule"), (training.get("optimizer") or {}).get("lr")
    if not schedule or lr is None:  # a watched loop of a person's own
        return Refusal("no schedule is recorded")
    per_step = training.get("batch", 1) * training.get("accumulate", 1)
    samples = int(facts.get("train_samples") or 0)
    start = Place(0, budget_of(config, facts), per_step, samples)
    try:
        return rate_to_come(Schedule.model_validate(schedule), lr, start)
    except ValueError as error:
        return Refusal(str(error).splitlines()[0])


def shape_of(values: Mapping[str, float]) -> float | None:
    """The part of a training loss whose curve tells how the run gets on."""
    return values.get("recon", values.get("total"))


def constant_of(floors: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> float | None:
    """What the best answer that does not look at its input scores, as the law needs it."""
    for floor in floors:
        if floor.get("score") == "loss" and floor.get("means") in CONSTANTS:
            found = _positive([(0.0, floor["value"])], facts)
            return found[0][1] if found else None
    return None


def _positive(points: Points, facts: Mapping[str, Any]) -> Points:
    """As the law needs them; a value too large for exp stays out."""
    if facts.get("loss_scale") != "log":
        return points
    return [(n, math.exp(v)) for n, v in points if v < 100]


def _shape(train: Points, facts: Mapping[str, Any]) -> Points:
    """The training curve where it is of a kind with validation."""
    return () if facts.get("noisy_targets") else _positive(train, facts)


def _ahead(facts: Mapping[str, Any], now: float) -> str | None:
    """A change to come that a task states as `changes: {what, until_inputs}`."""
    changes = facts.get("changes") or {}
    return str(changes["what"]) if now < changes.get("until_inputs", 0) else None


def foresee(
    config: Mapping[str, Any],
    facts: Mapping[str, Any],
    val: Points,
    train: Points = (),
    noise_floor: float | None = None,
    floors: Iterable[Mapping[str, Any]] = (),
) -> Forecast | Refusal:
    """Where `val` ends, for a run that has come as far as its points.

    Points: (inputs, value), of val/loss and of `shape_of` the training loss. Floors: events of a
    run, with `score`, `value` and `means`.
    """
    budget, rate = budget_of(config, facts), rate_of(config, facts)
    if isinstance(rate, Refusal):
        return rate
    if budget <= 0:
        return Refusal("the budget is not known yet")
    now = max((p[0] for p in [*val, *train]), default=0.0)
    found = forecast(
        _positive(val, facts),
        rate,
        budget,
        noise_floor,
        train=_shape(train, facts),
        constant=constant_of(floors, facts),
        changes_ahead=_ahead(facts, now),
    )
    if isinstance(found, Refusal) or facts.get("loss_scale") != "log":
        return found
    told = {name: math.log(getattr(found, name)) for name in ("value", "low", "high")}
    return replace(found, **told)


def finished_curve(
    config: Mapping[str, Any],
    facts: Mapping[str, Any],
    val: Points,
    train: Points = (),
    noise_floor: float | None = None,
    floors: Iterable[Mapping[str, Any]] = (),
) -> Curve | Refusal:
    """A finished run for `backtest`, if its forecasts could have been asked for at all."""
    rate = rate_of(config, facts)
    if isinstance(rate, Refusal):
        return rate
    if not val:
        return Refusal("no validation")
    budget = budget_of(config, facts)
    if val[0][0] > SHARES[-1] * budget:
        return Refusal(f"not validated in the first {SHARES[-1]:.0%}: no value to compare with")
    if ahead := _ahead(facts, 0):
        return Refusal(f"{ahead}: losses before and after it don't compare")
    shape, constant = _shape(train, facts), constant_of(floors, facts)
    return Curve(_positive(val, facts), rate, budget, shape, noise_floor, constant)
