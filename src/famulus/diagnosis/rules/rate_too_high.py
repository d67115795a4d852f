"""Steps as large as the weights themselves, and a loss that is the worse for it (K6).

A limit on the rate would be wrong for somebody; what counts is what it does: the share of itself
that a layer changes in a step, beside a loss that has risen or stands where a constant stands.
"""

from statistics import fmean, median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import ratio, series
from famulus.diagnosis.trend import training_loss

CAUSE = "rate-too-high"
SUMMARY = "the rate is too high: steps are as large as weights, and the loss does not fall or rises"
LARGE = 0.1  # update over weight, median over early samples, in most layers
EARLY = 6  # samples, the first left out: later, dead units move nothing
RISEN = 1.3  # last losses over the least
LOGS = 8


def rule(history: History) -> Finding | None:
    told = _worse(history)
    if told is None:
        return None
    ratios = {}
    for name, seen in series(history).items():
        found = [
            r for _, layer in seen[1:EARLY] if layer["numbers"] and (r := ratio(layer)) is not None
        ]
        if len(found) >= 2:
            ratios[name] = median(found)
    if not ratios:
        return None
    typical = median(ratios.values())
    worst = max(ratios, key=lambda name: ratios[name])
    if typical < LARGE:
        return None
    rate = max((e.get("lr", 0.0) for e in history.train), default=0.0)
    return Finding(
        CAUSE,
        "error",
        f"a step changes a layer by {typical:.2g} of its weights in the median ({worst}:"
        f" {ratios[worst]:.2g}; limit {LARGE:g}) at a rate of {rate:.3g}, and {told}",
        f"training.optimizer.lr: {rate / 10:.3g}, then x3 up or down by what an LR range test shows"
        " (famulus check FILE)",
        step=history.train[-1]["step"],
    )


def _worse(history: History) -> str | None:
    """What is wrong with the loss, or None."""
    _, loss = training_loss(history)
    ended = [m for m in history.marks if m.get("what") == "loss-not-finite"]
    if ended:  # at the first loss of all no rate is to blame
        return str(ended[0]["text"]) if loss else None
    if len(loss) < LOGS:
        return None
    floor = history.floor("loss", "best constant") or history.floor("loss", "zero image")
    last = fmean(loss[-max(2, len(loss) // 5) :])
    score = history.last("loss")
    if floor is not None and floor > 0 and min(last, score or last) > 0.97 * floor:
        return f"the loss stands at {last:.4g}, where a constant scores {floor:.4g}"
    # Means of three: one easy batch is no level.
    least = min(fmean(loss[i : i + 3]) for i in range(len(loss) - 2))
    if least > 0 and last > RISEN * least:
        return f"the loss has risen from {least:.4g} to {last:.4g}"
    return None
