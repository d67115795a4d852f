"""A handful of samples that can't be learned by heart: each time they ask something else (K3)."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import training_loss

CAUSE = "targets-redrawn"
SUMMARY = "a test on few samples draws new targets at every access: nothing can be learned by heart"
FEW = 64  # samples that any net would learn by heart
SEEN = 20  # times each
LEFT = 0.1  # of the first loss


def rule(history: History) -> Finding | None:
    samples = history.facts.get("train_samples")
    told = str(history.facts.get("targets", ""))
    at, loss = training_loss(history)
    if not told.startswith("drawn") or not samples or samples > FEW or not loss:
        return None
    first = history.floor("loss", "best constant") or loss[0]
    if at[-1] < SEEN * samples or loss[-1] < LEFT * first:
        return None
    return Finding(
        CAUSE,
        "warning",
        f"{samples} samples, each seen {at[-1] // samples} times, still have a loss of"
        f" {loss[-1]:.3g} (a constant scores {first:.3g}): their targets are {told}",
        "data.frozen: true gives each sample one target; then the loss must fall below"
        f" {LEFT * first:.2g} within 150 steps, or the net is at fault",
        step=history.train[-1]["step"],
        consequences=("cannot-overfit", "predicts-the-mean", "memorises", "train-eval-gap"),
    )
