"""A loss that has no least value is followed downwards for ever (K20).

Binary cross-entropy with targets outside 0..1 (class ids, standardised pixels) is linear in the
logit: logit 100 and target 5 cost -400.
"""

from famulus.diagnosis.contract import always, operations
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, setting
from famulus.diagnosis.trend import training_loss

CAUSE = "loss-unbounded"
SUMMARY = "the loss falls below zero without end: its targets lie outside what it is made for"
OF_SHARES = ("BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "NllLoss")
DEEP = 3.0  # times the loss at the start, below zero


def rule(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    # A loss on a logarithmic scale is negative without fault.
    if len(loss) < 6 or history.facts.get("loss_scale") == "log" or not _bounded(history):
        return None
    first, middle, last = loss[0], loss[len(loss) // 2], loss[-1]
    scale = max(abs(f["value"]) for f in history.floors) if history.floors else abs(first)
    if last >= -DEEP * max(scale, 1e-6) or last >= middle:
        return None
    steady = (middle - last) / max(first - middle, 1e-9)  # a likelihood slows down; this does not
    if steady < 0.5:
        return None
    remedy = advise(
        history.owner,
        setting("data.scaling", "unit", why="grey levels in 0..1"),
        Step(
            code="F.cross_entropy(outputs, targets)",
            where="of class ids: binary cross-entropy takes targets of 0 to 1",
            words="targets in 0..1 for binary cross-entropy: class ids need cross_entropy",
        ),
    )
    return Finding(
        CAUSE,
        "error",
        f"the training loss was {first:.4g} at {seen[0]:,} samples and is {last:.4g} at"
        f" {seen[-1]:,}; in the second half it fell {steady:.1f} times as much as in the first",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
    )


def _bounded(history: History) -> bool:
    """Should the loss have a least value? A likelihood of one's own, or a critic's score, need not:
    there it must be known to be one that takes shares or logarithms."""
    if history.owner.is_file:
        return True
    known = str(always(history, "loss")).startswith("bce")
    return known or bool(set(OF_SHARES) & set(operations(history)))
