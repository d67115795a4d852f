"""The same net on the same batch, in training mode and in evaluation mode: two nets (K4).

Running statistics that lag behind, or statistics of tiny batches, or dropout. A net that is worse
than a constant in one mode and clearly better than it in the other is not untrained.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Change, Step, advise, either, norm, setting

CAUSE = "train-eval-gap"
SUMMARY = "the model fits in training mode and not in evaluation mode: batch statistics or dropout"
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
    beside = "" if floor is None else f"; the best constant predictor scores {floor:.4g}"
    batch = int(history.owner.value("training.batch", 0))
    larger = [setting("training.batch", 4 * batch)] if batch else []
    remedy = advise(
        history.owner,
        *larger,
        either(Change("model.dropout", 0.0), Change("model.head.dropout", 0.0)),
        norm("group", why="has no running statistics"),
        Step(words="a longer run: running statistics lag behind by some 50 steps"),
    )
    return Finding(
        CAUSE,
        "warning",
        f"at step {last['step']:,} val/loss is {loss:.4g}; on one batch the loss in evaluation mode"
        f" lies {gap:.3g} above that in training mode, without which it would be"
        f" {trained:.4g}{beside}",
        remedy.text,
        changes=remedy.changes,
        step=last["step"],
        consequences=("predicts-the-mean", "memorises"),
    )
