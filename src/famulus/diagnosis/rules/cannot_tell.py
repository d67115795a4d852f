"""The loss does not fall, and no rule or control knows why."""

from statistics import fmean

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "cannot-tell"
SUMMARY = "the loss does not fall, and nothing that is looked at explains it"
FALL = 0.02  # share of the first losses by which the last ones must be lower
ENOUGH = 8  # logged losses


def rule(history: History) -> Finding | None:
    """Asked only where nothing else was found."""
    seen, loss = training_loss(history)
    if len(loss) < ENOUGH:
        return None
    near = max(2, len(loss) // 8)
    first, last = fmean(loss[:near]), fmean(loss[-near:])
    _, held_out = curve(history.val, "loss")
    better = len(held_out) > 1 and held_out[0] - held_out[-1] > FALL * abs(held_out[0])
    if better or first - last > FALL * abs(first):
        return None
    return Finding(
        CAUSE,
        "info",
        f"the loss was {first:.4g} in the first {near} logs and is {last:.4g} in the last {near},"
        f" after {seen[-1]:,} inputs; a fall of {FALL:.0%} was expected",
        "famulus check FILE overfits one batch and tries zeroed and noise inputs; then"
        f" training.optimizer.lr: {10 * history.config['training']['optimizer']['lr']:.3g}",
        step=history.train[-1]["step"],
    )
