"""The net is no better than the best constant: it learned nothing of its input (K1)."""

from famulus.diagnosis.history import Finding, History

CAUSE = "predicts-the-mean"
SUMMARY = "after training the score is that of the best constant: nothing of the input is used"
NEAR = 0.02  # share of the floor within which a score counts as the floor
FAR = 0.35  # above it: no longer the mean, but something worse


def rule(history: History) -> Finding | None:
    floors = [f for f in history.floors if f["means"] == "best constant"]
    if len(history.val) < 2:
        return None
    for floor in floors:
        score, value = history.last(floor["score"]), float(floor["value"])
        if score is None or abs(value) < 1e-12:
            # A share of a floor at 0 is no tolerance.
            continue
        if not value - NEAR * abs(value) <= score <= value + FAR * abs(value):
            continue
        if _learned(history, floor["score"], value):
            continue  # it knows its training samples by heart: another cause
        return Finding(
            CAUSE,
            "error",
            f"val/{floor['score']} is {score:.4g} after {history.val[-1]['inputs']:,} inputs;"
            f" the best constant scores {value:.4g}",
            "check that the target belongs to the input (famulus check FILE), then try"
            f" training.optimizer.lr: {_lower(history):.3g}",
            step=history.val[-1]["step"],
        )
    return None


def _learned(history: History, score: str, floor: float) -> bool:
    """Whether the training loss lies clearly below what a constant scores."""
    if not history.train:
        return False
    values = history.train[-1]["values"]
    found = values.get("total" if score == "loss" else score)
    return found is not None and found < floor - 5 * NEAR * abs(floor)


def _lower(history: History) -> float:
    return history.config["training"]["optimizer"]["lr"] / 3
