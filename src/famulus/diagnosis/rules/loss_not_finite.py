"""NaN or Inf in a loss (K8 in the catalogue of causes)."""

from famulus.diagnosis.history import Finding, History

CAUSE = "loss-not-finite"
SUMMARY = "a loss became NaN or infinite"


def rule(history: History) -> Finding | None:
    marks = [mark for mark in history.marks if mark["what"] == CAUSE]
    if not marks:
        return None
    rate = (
        history.train[-1]["lr"] if history.train else history.config["training"]["optimizer"]["lr"]
    )
    return Finding(
        CAUSE,
        "error",
        f"{marks[0]['text']}, at a learning rate of {rate:.3g}",
        f"training.optimizer.lr: {rate / 10:.3g}, or training.clip: 1.0; if NaN stays at a tenth of"
        " the rate, look for a log or a division of 0 in the loss",
        step=marks[0]["step"],
    )
