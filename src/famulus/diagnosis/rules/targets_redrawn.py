"""A handful of samples that can't be overfitted: each time they ask something else (K3)."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, setting
from famulus.diagnosis.trend import training_loss

CAUSE = "targets-redrawn"
SUMMARY = "a test on few samples draws new targets at every access: nothing can be overfitted"
FEW = 64  # samples that any net would overfit
SEEN = 20  # times each
LEFT = 0.1  # of the first loss


def rule(history: History) -> Finding | None:
    samples = history.facts.get("train_samples")
    targets = str(history.facts.get("targets", ""))
    at, loss = training_loss(history)
    if not targets.startswith("drawn") or not samples or samples > FEW or not loss:
        return None
    constant = history.floor("loss", "best constant")
    first = constant or loss[0]
    beside = "a constant predictor scores" if constant else "it was"
    if at[-1] < SEEN * samples or loss[-1] < LEFT * first:
        return None
    remedy = advise(
        history.owner,
        setting(
            "data.frozen",
            True,
            why=f"then the loss must fall below {LEFT * first:.2g} within 150 steps, or the model"
            " is at fault",
            words="one target for each sample, drawn once",
        ),
    )
    return Finding(
        CAUSE,
        "warning",
        f"{samples} samples, each seen {at[-1] // samples} times, still have a loss of"
        f" {loss[-1]:.3g} ({beside} {first:.3g}): their targets are {targets}",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
        consequences=("cannot-overfit", "predicts-the-mean", "memorises", "train-eval-gap"),
    )
