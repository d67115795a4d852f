"""What rules read of a monitored loop: what net and loss are made of, and how much is learned.

`graph` and `forms` are written by a monitor (see docs/monitor.md); a run of `famulus run` has
neither, and rules that need them stay silent there.
"""

from collections.abc import Mapping
from statistics import median
from typing import Any

from famulus.diagnosis.history import History

# What an activation of the last layer, or a loss, makes of a training: no causes of their own.
EVERYTHING = (
    *("predicts-the-mean", "rate-too-high", "rate-too-low", "rate-cannot-reach", "dead-units"),
    *("saturated-units", "vanishing-gradient", "exploding-gradient", "loss-spike", "plateau"),
    *("too-few-epochs", "optimizer-choice", "batch-size", "initialisation", "cannot-tell"),
    *("loss-unbounded", "loss-not-finite", "wrong-initial-loss", "weights-do-not-move"),
    *("same-answer-for-all", "features-collapsed", "posterior-collapse"),
)
LAYERS = ("Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Convolution", "MkldnnConvolution", "Linear")
BOUNDED = ("Relu", "Sigmoid", "Tanh", "Hardtanh", "Threshold", "Softplus")
# What is no probability: of all else (a clamped sigmoid, a quotient, a mean) nobody knows.
RAW = (*LAYERS, "Add", "LogSoftmax", *(kind for kind in BOUNDED if kind != "Sigmoid"))
LINEAR = ("Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Linear")
TAUGHT = 0.05  # of a constant's error, between the first sample and the last ones
LEARNED = 0.1  # of a constant's error left


def graph(history: History) -> Mapping[str, Any]:
    """{} where the autograd graph was not read."""
    return history.facts.get("graph") or {}


def operations(history: History) -> list[str]:
    """Between loss and outputs, outermost first; [] where the outputs pass through another layer:
    a loss of similarities, or of a head beside the model, is none of these outputs as they are."""
    found = list(graph(history).get("loss") or ())
    return [] if set(found) & set(LAYERS) else found


def words(operation: str) -> str:
    """Of an operation of the graph, for people."""
    if operation in LINEAR:
        return "a linear layer"
    return "a convolution" if "Convolution" in operation else operation.lower()


def forms(history: History) -> list[Mapping[str, Any]]:
    """Of each sampled batch that was looked at."""
    return [p["forms"] for p in history.probes if p.get("forms")]


def always(history: History, key: str) -> Any:
    """A form that was the same in every sample; None if it was not, or there are under two."""
    # Two at least: what one sample shows may be an accident.
    found = {str(f.get(key)): f.get(key) for f in forms(history)}
    return next(iter(found.values())) if len(found) == 1 and len(forms(history)) > 1 else None


def left(history: History) -> float | None:
    """Share of a constant's error that is left: the median of the last three samples.

    Of a loss that is not known, outputs may have another unit than targets: then what is left once
    scale and offset are right. None where optimizers pull at the loss either way: a critic that is
    fooled has not failed.
    """
    if history.opposed:
        return None
    known = [_left(form) for form in forms(history) if "left" in form]
    # The median of several: a single batch is too small to judge a net by.
    return median(known[-3:]) if known else None


def moved(history: History) -> bool | None:
    """Is more of a constant's error gone in the last samples than in the first one? What a net
    knows before it is trained no step has taught it. None where batches say nothing."""
    known = [_left(form) for form in forms(history) if "left" in form]
    last = left(history)
    return None if last is None else known[0] - last > TAUGHT


def _left(form: Mapping[str, Any]) -> float:
    errors, agreement = float(form["left"]), form.get("agreement")
    if agreement is None:
        return errors
    if "accuracy" in form:  # who knows which samples are likelier may never change an answer
        return min(errors, max(LEARNED, 1 - float(agreement)))
    return errors if form.get("loss") or form.get("part") else min(errors, 1 - float(agreement))


def grey_levels(history: History) -> bool:
    """Are the targets grey levels of 0 to 255, which somebody forgot to scale?"""
    seen = extremes(history, "targets")
    return seen is not None and seen[0] >= 0 and seen[1] == 255


def learned(history: History) -> bool:
    found = left(history)
    return found is not None and found < LEARNED


def severity(history: History) -> str:
    """What is wrong by construction is an error where the net has not learned in spite of it."""
    return "warning" if learned(history) else "error"


def extremes(history: History, name: str) -> tuple[float, float] | None:
    """(least, largest) of a tensor of the batch over all samples."""
    seen = [p["batch"][name] for p in history.probes if name in p.get("batch", ())]
    seen = [f for f in seen if f.get("finite")]
    return (min(f["min"] for f in seen), max(f["max"] for f in seen)) if seen else None
