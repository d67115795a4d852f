"""Flat, and far below what a constant scores: it has arrived (K12). No fault."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, budget
from famulus.diagnosis.trend import flat

CAUSE = "converged"
SUMMARY = "validation no longer changes, far below the constant predictor: nothing more to wait for"
FAR = 0.5  # of the constant's score


def rule(history: History) -> Finding | None:
    found = flat(history, by_way=True)
    if found is None or (found.floor is not None and found.last > FAR * found.floor):
        return None
    beside = ""
    if found.floor is not None:
        beside = f", {found.last / found.floor:.2f} of what the best constant predictor scores"
    shown = history.val[-1]["inputs"]
    remedy = advise(
        history.owner,
        budget(
            history.owner,
            found.since,
            shown,
            why="validation has not changed since",
            words=f"end the loop at {found.since:,} samples: validation has not changed since",
        ),
    )
    return Finding(
        CAUSE,
        "info",
        f"val/loss changed by {found.change:.2%} over the last {found.count} validations and is"
        f" {found.last:.4g}{beside}",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )
