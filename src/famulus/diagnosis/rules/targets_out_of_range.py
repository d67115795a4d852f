"""Targets far from the numbers that a model gives at its start: it must travel there first.

A last layer starts with answers of about 0 with a deviation of about 1. With Adam, a bias moves by
about the learning rate in a step; with plain descent, gradients of squares are as large as the
targets.
"""

from statistics import fmean

from famulus.diagnosis.contract import EVERYTHING, forms, grey_levels, left
from famulus.diagnosis.figures import usual
from famulus.diagnosis.history import Event, Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, advise, line

CAUSE = "targets-out-of-range"
SUMMARY = "targets lie far from the range that a model's answers start in, or that its loss takes"
FAR = 20.0  # abs(mean) + sd
FLAT = 0.01  # the same: errors of nothing
SAMPLES = 2
ARRIVED = 0.9  # of a constant's error left, below which answers are where the targets are
GAINED = 0.3  # of a baseline's error: such a net has arrived


def rule(history: History) -> Finding | None:
    numbers = [form for form in forms(history) if form.get("targets") == "real"]
    seen = [probe["batch"]["targets"] for probe in history.probes if _known(probe)]
    outputs = [probe["batch"]["outputs"] for probe in history.probes if _has_outputs(probe)]
    if len(seen) < SAMPLES or len(numbers) < SAMPLES:
        return None
    beside = bool(outputs) and _beside(outputs[-1], seen[-1])
    if of_history(history).gained(GAINED) and not (beside and left(history) is None):
        return None
    sizes = [abs(batch["mean"]) + batch["std"] for batch in seen]
    if FLAT <= fmean(sizes) <= FAR:
        return None
    remain = left(history)
    if remain is not None and remain < ARRIVED:
        return None
    if remain is None and not beside and of_history(history).gained(GAINED) is None:
        return None
    last = seen[-1]
    answers = [
        f"; the last outputs lie from {o['min']:.4g} to {o['max']:.4g}" for o in outputs[-1:]
    ]
    share = "" if remain is None else f", and {remain:.0%} of a constant's error is left"
    low, high = min(batch["min"] for batch in seen), max(batch["max"] for batch in seen)
    code = "targets = targets / 255" if low >= 0 and high == 255 else "y = (y - mean) / sd"
    remedy = advise(
        history.owner,
        line(code, "with the mean and deviation of the training split; undo it when you predict"),
        Step(words="the mean of the targets as the bias of the last layer"),
    )
    return Finding(
        CAUSE,
        "error",
        f"targets have mean {last['mean']:.4g} and deviation {last['std']:.3g}"
        f" ({usual(FLAT, FAR)}){''.join(answers)}{share}",
        remedy.text,
        step=0,
        consequences=(*EVERYTHING, "output-activation") if grey_levels(history) else EVERYTHING,
    )


def _beside(outputs: Event, targets: Event) -> bool:
    """Is there no output as far out as the nearest target?"""
    return bool(outputs["max"] < targets["min"] or outputs["min"] > targets["max"])


def _known(probe: Event) -> bool:
    batch = (probe.get("batch") or {}).get("targets") or {}
    known = batch.get("mean") is not None and batch.get("std") is not None
    return bool(batch.get("finite", True)) and known


def _has_outputs(probe: Event) -> bool:
    return "outputs" in (probe.get("batch") or {})
