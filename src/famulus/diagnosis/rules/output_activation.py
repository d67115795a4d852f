"""The last activation can't give what the loss needs, or what the targets are."""

from famulus.diagnosis.contract import (
    BOUNDED,
    EVERYTHING,
    RAW,
    always,
    extremes,
    graph,
    operations,
    severity,
)
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import last_activation
from famulus.diagnosis.remedy import Remedy, advise, line

CAUSE = "output-activation"
SUMMARY = "the last activation can't give the answers that loss and targets ask for"
REACH = {
    "Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0), "Relu": (0.0, None),
    "Hardtanh": (None, None), "Softplus": (0.0, None), "LogSoftmax": (None, 0.0),
    "Threshold": (0.0, None),
}  # fmt: skip
BEYOND = 0.05  # share of the range of the targets that lies out of reach


def rule(history: History) -> Finding | None:
    last, loss = graph(history).get("output"), operations(history)
    if not last or not loss:
        return None
    name = last.lower()
    remedy = Remedy(
        f"without {last_activation(history)}: the loss takes what the layer before it gives"
    )
    if last in BOUNDED and "LogSoftmax" in loss:
        text = f"cross_entropy takes logits of any sign, and the model ends in {name}"
    elif last in BOUNDED and last != "Sigmoid" and "BinaryCrossEntropyWithLogits" in loss:
        text = f"binary_cross_entropy_with_logits takes any number, and the model ends in {name}"
    elif loss[0] == "BinaryCrossEntropy" and last in RAW:
        code = "F.binary_cross_entropy_with_logits(outputs, targets)"
        remedy = advise(history.owner, line(code, "on the last linear layer"))
        text = (
            f"binary_cross_entropy takes probabilities of a sigmoid, and the model ends in {name}"
        )
    elif loss[:2] == ["NllLoss", "Log"] and last in RAW:
        code = "F.cross_entropy(outputs, targets)"
        remedy = advise(history.owner, line(code, "on the last linear layer"))
        text = f"the loss is the logarithm of probabilities, and the model ends in {name}"
    elif gap := _out_of_reach(history, last):
        text = gap
    else:
        return None
    return Finding(
        CAUSE,
        severity(history),
        text,
        remedy.text,
        step=0,
        consequences=EVERYTHING,
    )


def _out_of_reach(history: History, last: str) -> str | None:
    """Of a loss that measures a distance: are there targets that no output can meet?"""
    seen = extremes(history, "targets")
    direct = always(history, "loss") in ("mse", "l1", "smooth_l1")  # of the targets as they are
    if last not in REACH or not direct or seen is None:
        return None
    low, high = REACH[last]
    allowed = BEYOND * (seen[1] - seen[0])
    if (low is None or seen[0] >= low - allowed) and (high is None or seen[1] <= high + allowed):
        return None
    reach = (
        f"from {low:g}"
        if high is None
        else f"up to {high:g}"
        if low is None
        else f"{low:g} to {high:g}"
    )
    return f"targets lie from {seen[0]:.4g} to {seen[1]:.4g}, and {last.lower()} gives {reach}"
