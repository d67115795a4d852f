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
    dropout = Change("model.dropout", 0.0), Change("model.head.dropout", 0.0)
    remedy = advise(
        history.owner,
        *_larger_batch(history),
        either(*dropout, code=lambda script: "nn.Dropout(0.0)" if script.has("Dropout") else ""),
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


def _larger_batch(history: History) -> list[Step]:
    """Four times as many samples; of a loop of one's own, of those that a step has had."""
    batch = int(history.owner.value("training.batch", 0))
    if not history.owner.is_file and history.train:
        last = history.train[-1]
        batch = int(last["inputs"] / max(1, last["step"]))
    size = 4 * batch
    code = f"DataLoader(..., batch_size={size})"
    return [setting("training.batch", size, code=code)] if batch else []
