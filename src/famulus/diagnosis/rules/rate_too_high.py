"""Steps as large as the weights themselves, and a loss that is the worse for it (K6).

A limit on the rate would be wrong for somebody; what counts is what it does: the share of itself
that a layer changes in a step, beside a loss that has risen or stands where a constant stands.
"""

from statistics import fmean

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning_rates import lower, ratios, step
from famulus.diagnosis.remedy import Step, advise
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "rate-too-high"
SUMMARY = "steps are as large as the weights, and the loss rises or does not fall"
LARGE = 0.1  # update over weight, median over early samples, in most layers
EARLY = 6  # samples, the first left out: later, dead units move nothing
RISEN = 1.3  # last losses over the least
LOGS = 8


def rule(history: History) -> Finding | None:
    trouble = _worse(history)
    found = ratios(history, EARLY) if trouble else None
    if trouble is None or found is None or found.typical < LARGE:
        return None
    worst = found.worst
    remedy = advise(
        history.owner,
        step(history, lower(history)),
        Step(command="famulus check FILE, whose range test suggests one"),
    )
    return Finding(
        CAUSE,
        "error",
        f"between steps {found.first:,} and {found.last:,} a step changed a layer by"
        f" {found.typical:.2g} of its weights in the median (layer {worst}: {found.of[worst]:.2g};"
        f" limit {LARGE:g}) at a learning rate of {found.rate:.3g}; {trouble}",
        remedy.text,
        changes=remedy.changes,
        step=found.first,
    )


def _worse(history: History) -> str | None:
    """What is wrong with the loss, or None."""
    _, loss = training_loss(history)
    ended = [m for m in history.marks if m.get("what") == "loss-not-finite"]
    if ended:  # at the first loss of all no rate is to blame
        text = str(ended[0].get("text", "the loss is no number"))
        return text if curve(history.train, "total")[1] else None
    if len(loss) < LOGS:
        return None
    floor = history.floor("loss", "best constant") or history.floor("loss", "zero image")
    count, end = max(2, len(loss) // 5), history.train[-1]["step"]
    last = fmean(loss[-count:])
    score = history.last("loss")
    if floor is not None and floor > 0 and min(last, score or last) > 0.97 * floor:
        return (
            f"in the last {count} logs, up to step {end:,}, the training loss is {last:.4g}, where"
            f" a constant predictor scores {floor:.4g}"
        )
    # Means of three: one easy batch is no level.
    least = min(fmean(loss[i : i + 3]) for i in range(len(loss) - 2))
    if least > 0 and last > RISEN * least:
        return (
            f"the training loss has risen from {least:.4g} to {last:.4g} in the last {count} logs,"
            f" up to step {end:,}"
        )
    return None
