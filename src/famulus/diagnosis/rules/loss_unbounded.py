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
DEEPER = 30.0  # the same of a loss that is not known
ANYWHERE = 1e6  # the same: no likelihood lies there, however it got there
DEEP = 3.0  # times the loss at the start, below zero


def rule(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    # A loss on a logarithmic scale is negative without fault.
    if len(loss) < 6 or history.facts.get("loss_scale") == "log":
        return None
    # A likelihood of one's own, or a critic's score, may lie below zero, and slows down there.
    deep = DEEP if _bounded(history) else DEEPER
    first, middle, last = loss[0], loss[len(loss) // 2], loss[-1]
    scale = max(abs(f["value"]) for f in history.floors) if history.floors else abs(first)
    if last >= -deep * max(scale, 1e-6):
        return None
    steady = (middle - last) / max(first - middle, 1e-9)  # a likelihood slows down; this does not
    if steady < 0.5 and last >= -ANYWHERE * max(scale, 1.0):
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
    """Is it known that the loss takes shares or logarithms, and so should have a least value?"""
    if history.owner.is_file:
        return True
    known = str(always(history, "loss")).startswith("bce")
    return known or bool(set(OF_SHARES) & set(operations(history)))
