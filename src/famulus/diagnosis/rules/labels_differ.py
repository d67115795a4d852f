"""Right in training, worse than chance in validation: classes are numbered differently (K19)."""

import math

from famulus.diagnosis.history import Finding, History

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
    if not samples or not history.train:
        return None
    chance = math.exp(-start)  # an untrained net's loss is ln K
    noise = math.sqrt(chance * (1 - chance) / samples)  # sd of an accuracy by chance
    trained = float(history.train[-1]["values"]["total"])
    if trained > FITTED * floor or loss < floor or accuracy > chance - SIGMAS * noise:
        return None
    return Finding(
        CAUSE,
        "error",
        f"val/accuracy {accuracy:.3f} is below chance ({chance:.3f}, by more than {SIGMAS:g} sd of"
        f" {samples} samples) and val/loss {loss:.3g} above a constant's {floor:.3g}, while the"
        f" training loss is {trained:.3g}",
        "one list of class names for both splits; train on the validation split for a moment: it"
        " must score as well there",
        step=history.val[-1]["step"],
    )
