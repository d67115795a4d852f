"""Flat, and not far below what a constant scores: a saddle that nets leave late, or the end (K12).

Which of the two, a curve can't say: the experiment is a branch at ten times the rate.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.rules.converged import FAR
from famulus.diagnosis.trend import flat

CAUSE = "plateau"
SUMMARY = "validation no longer changes, though little is gained over a constant yet"
NEAR = 0.98  # of the constant's score: from here on it is the mean itself


def rule(history: History) -> Finding | None:
    found = flat(history)
    if found is None or found.floor is None:
        return None
    if not FAR * found.floor < found.last < NEAR * found.floor:
        return None
    rate = history.config["training"]["optimizer"]["lr"]
    return Finding(
        CAUSE,
        "info",
        f"val/loss changed by {found.change:.2%} over the last {found.count} validations and is"
        f" {found.last:.4g}, {found.last / found.floor:.2f} of what the best constant scores",
        f"famulus resume RUN --set training.optimizer.lr={10 * rate:g} tells a saddle from the end:"
        " a saddle is left, at the end the loss rises",
        step=history.val[-1]["step"],
    )
