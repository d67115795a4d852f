"""NaN or Inf in a loss (K8 in the catalogue of causes)."""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, clipping

CAUSE = "loss-not-finite"
SUMMARY = "a loss became NaN or infinite"


def rule(history: History) -> Finding | None:
    marks = [mark for mark in history.marks if mark.get("what") == CAUSE]
    if not marks:
        return None
    rate = rates.rate_at(history, marks[0]["step"])
    remedy = advise(
        history.owner,
        rates.step(history, rates.lower(history)),
        clipping(history.owner),
        Step(
            words="if it is still not finite then, look for a log or a division of 0 in the loss",
            after=True,
        ),
    )
    return Finding(
        CAUSE,
        "error",
        f"{marks[0].get('text', 'the loss is no number')}, at a learning rate of {rate:.3g}",
        remedy.text,
        changes=remedy.changes,
        step=marks[0]["step"],
    )
