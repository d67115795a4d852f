"""The run ended while its codebook waited for the vectors that k-means starts it from: the decoder
was trained on vectors, and no code was ever used."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, budget
from famulus.diagnosis.trend import ended

CAUSE = "codebook-not-started"
SUMMARY = "training ended before there was a codebook: the decoder has seen vectors, not codes"


def rule(history: History) -> Finding | None:
    if history.last("started") != 0 or not ended(history):
        return None
    shown = history.val[-1]["inputs"]
    longer = 10 * shown
    remedy = advise(
        history.owner,
        budget(history.owner, longer, shown, words=f"train on, to {longer:,} samples"),
    )
    return Finding(
        CAUSE,
        "warning",
        f"after {shown:,} samples the codebook still waits for its first vectors: the scores are"
        " those of a model without one",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )
