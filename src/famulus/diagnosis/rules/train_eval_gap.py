"""The same net on the same batch, in training mode and in evaluation mode: two nets (K4).

Running statistics that lag behind, or statistics of tiny batches, or dropout. A net that is worse
than a constant in one mode and clearly better than it in the other is not untrained.
"""

from famulus.diagnosis.history import Finding, History

CAUSE = "train-eval-gap"
SUMMARY = "the net fits in training mode and not in evaluation mode: batch statistics or dropout"
CLEARLY = 0.1  # below the constant's score, in training mode
RATIO = 1.5  # of the losses, where no constant's score is known


def rule(history: History) -> Finding | None:
    if not history.val:
        return None
    last = history.val[-1]
    loss, gap = last["values"].get("loss"), last["values"].get("train_mode_gap")
    if loss is None or gap is None or loss <= gap:
        return None
    trained, floor = loss - gap, history.floor("loss", "best constant")
    if floor is None:
        named = loss > RATIO * trained
    else:
        named = loss > floor * (1 - CLEARLY / 5) and trained < floor * (1 - CLEARLY)
    if not named:
        return None
    beside = "" if floor is None else f"; the best constant scores {floor:.4g}"
    batch = history.config["training"]["batch"]
    return Finding(
        CAUSE,
        "warning",
        f"on one batch at step {last['step']} the loss is {trained:.4g} in training mode and"
        f" {loss:.4g} over the validation set in evaluation mode (gap {gap:.3g}{beside})",
        f"train for longer than {last['step']} steps before judging (running statistics lag by"
        f" some 50), training.batch: {4 * batch}, dropout 0, or a net without batch norm",
        step=last["step"],
        consequences=("predicts-the-mean", "memorises"),
    )
