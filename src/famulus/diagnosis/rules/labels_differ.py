"""Right in training, worse than chance in validation: classes are numbered differently (K19)."""

import math

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import training_loss

CAUSE = "labels-differ"
SUMMARY = "training and validation number their classes differently"
FITTED = 0.6  # training loss over what a constant scores
SIGMAS = 3.0


def rule(history: History) -> Finding | None:
    accuracy, loss = history.last("accuracy"), history.last("loss")
    floor = history.floor("loss", "best constant")
    start = history.floor("loss", "initial loss")
    samples = history.facts.get("validation_samples") or 0
    if accuracy is None or loss is None or floor is None or start is None:
        return None
    _, totals = training_loss(history)
    if not samples or not totals:
        return None
    chance = math.exp(-start)  # an untrained net's loss is ln K
    noise = math.sqrt(chance * (1 - chance) / samples)  # sd of an accuracy by chance
    trained, at = totals[-1], history.train[-1]["step"]
    if trained > FITTED * floor or loss < floor or accuracy > chance - SIGMAS * noise:
        return None
    return Finding(
        CAUSE,
        "error",
        f"at step {history.val[-1]['step']:,} val/accuracy {accuracy:.3f} is below chance"
        f" ({chance:.3f}, by more than {SIGMAS:g} sd of {samples} samples) and val/loss {loss:.3g}"
        f" above the best constant predictor's {floor:.3g}, while the training loss is"
        f" {trained:.3g} at step {at:,}",
        "one list of class names for both splits; as a test, validate on samples of training: the"
        " model must score as well as in training there",
        step=history.val[-1]["step"],
    )
