"""Flat, and far below what a constant scores: it has arrived (K12). No fault."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import flat

CAUSE = "converged"
SUMMARY = (
    "validation no longer changes, far below the score of a constant: nothing more to wait for"
)
FAR = 0.5  # of the constant's score


def rule(history: History) -> Finding | None:
    found = flat(history)
    if found is None or (found.floor is not None and found.last > FAR * found.floor):
        return None
    beside = "" if found.floor is None else f", {found.last / found.floor:.2f} of a constant's"
    return Finding(
        CAUSE,
        "info",
        f"val/loss changed by {found.change:.2%} over the last {found.count} validations and is"
        f" {found.last:.4g}{beside}",
        f"training.inputs: {found.since:_} would have done",
        step=history.val[-1]["step"],
    )
