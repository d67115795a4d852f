"""Flat, and not far below what a constant scores: a saddle that nets leave late, or the end (K12).

Which of the two, a curve can't say: the experiment is a branch at ten times the rate.
"""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Change, Remedy, advise, significant
from famulus.diagnosis.rules.converged import FAR
from famulus.diagnosis.trend import flat

CAUSE = "plateau"
SUMMARY = "validation no longer changes, though little is gained over the constant predictor yet"
NEAR = 0.98  # of the constant's score: from here on it is the mean itself


def rule(history: History) -> Finding | None:
    found = flat(history)
    if found is None or found.floor is None:
        return None
    if not FAR * found.floor < found.last < NEAR * found.floor:
        return None
    remedy = _remedy(history)
    return Finding(
        CAUSE,
        "info",
        f"val/loss changed by {found.change:.2%} over the last {found.count} validations and is"
        f" {found.last:.4g}, {found.last / found.floor:.2f} of what the best constant predictor"
        " scores",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )


def _remedy(history: History) -> Remedy:
    """The same run from its end at ten times the learning rate."""
    rate = significant(10 * rates.peak(history))
    tells = "tells a saddle from the end: a saddle is left, at the end the loss rises"
    if not history.owner.is_file:
        return advise(history.owner, rates.step(history, rate, f"for some more steps {tells}"))
    change = Change("training.optimizer.lr", rate)
    command = f"famulus resume RUN --set {change.path}={rate:g}"
    return Remedy(f"{command} {tells}", history.owner.open_changes((change,)))
