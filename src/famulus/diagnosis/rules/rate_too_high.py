"""Steps as large as the weights themselves, and a loss that is the worse for it (K6).

A limit on the rate would be wrong for somebody; what counts is what it does: the share of itself
that a layer changes in a step, beside a loss that has risen or stands where a constant stands.
"""

from statistics import fmean, median

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.figures import apart, baseline
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.learning_rates import lower, peak, ratios, step
from famulus.diagnosis.remedy import Step, advise, significant
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "rate-too-high"
SUMMARY = "steps are as large as the weights, and the loss rises or does not fall"
WHOLE = 1.0  # the same of the very first step, which Adam's later ones are compared with no more
LARGE = 0.1  # update over weight, median over early samples, in most layers
EARLY = 6  # samples, the first left out: later, dead units move nothing
RISEN = 1.3  # last losses over the least
OUT = 5.0  # times the first sum of losses, of optimizers against each other
LOGS, FEW = 8, 4  # of so few a loss that is far above a constant's is enough
FAR = 2.0  # times that
STOOD = 0.95  # of the first loss, where no baseline is known


def rule(history: History) -> Finding | None:
    if history.opposed:
        return _of_one(history)
    trouble = _worse(history)
    found = ratios(history, EARLY) if trouble else None
    if trouble is None or found is None:
        return None
    if found.typical < LARGE and found.start < WHOLE:
        return None
    worst = found.worst
    rate = lower(history)
    text = (
        f"between steps {found.first:,} and {found.last:,} a step changed a layer by"
        f" {found.typical:.2g} of its weights in the median (layer {worst}: {found.of[worst]:.2g};"
        f" limit {LARGE:g})"
    )
    if found.typical < LARGE:
        # what Adam adds again and again is soon a small share of what it has added already
        share = max(rates.LEAST, rates.TARGET / found.start)
        rate = min(rate, significant(peak(history) * share))
        text = (
            f"the first step changed a layer by {found.start:.2g} times its weights in the median"
            f" (limit {WHOLE:g})"
        )
    remedy = advise(
        history.owner,
        step(history, rate),
        Step(command="famulus check FILE, whose range test suggests one"),
    )
    return Finding(
        CAUSE,
        "error",
        f"{text} at a learning rate of {found.rate:.3g}; {trouble}",
        remedy.text,
        changes=remedy.changes,
        step=found.first,
    )


def _of_one(history: History) -> Finding | None:
    """Of optimizers that pull at the loss either way, the one whose layers change most: where the
    sum of all losses, which stays about what it is between equals, is far above its start."""
    _, total = curve(history.train, "total")
    if len(total) < LOGS or min(total) <= 0:
        return None
    count, end = max(2, len(total) // 5), history.train[-1]["step"]
    last, found = fmean(total[-count:]), ratios(history, EARLY)
    if found is None or last < OUT * total[0]:
        return None
    each = []
    for one in history.owner.value("training.optimizers"):
        changes = [found.of[name] for name in one.get("holds") or () if name in found.of]
        if changes and one.get("lr"):
            each.append((median(changes), one))
    if not each or (most := max(each, key=lambda e: e[0]))[0] < LARGE:
        return None
    typical, one = most
    rate = significant(one["lr"] * max(rates.LEAST, min(1 / rates.STEP, rates.TARGET / typical)))
    line = Step(code=lambda script: script.construction(f"lr={rate!r}", holder=one))
    return Finding(
        CAUSE,
        "error",
        f"between steps {found.first:,} and {found.last:,} a step of"
        f" {one.get('variable') or one['class']} changed a layer by {typical:.2g} of its weights in"
        f" the median (limit {LARGE:g}) at a learning rate of {one['lr']:.3g}; all losses together"
        f" were {total[0]:.4g} at first and are {last:.4g} in the last {count} logs, up to step"
        f" {end:,}",
        advise(history.owner, line).text,
        step=found.first,
    )


def _worse(history: History) -> str | None:
    """What is wrong with the loss, or None."""
    _, loss = training_loss(history)
    ended = [m for m in history.marks if m.get("what") == "loss-not-finite"]
    if ended:  # at the first loss of all no rate is to blame
        text = str(ended[0].get("text", "the loss is no number"))
        return text if curve(history.train, "total")[1] else None
    floor = history.floor("loss", "best constant") or history.floor("loss", "zero image")
    far = False
    if floor is not None and len(loss) >= FEW and min(loss[0], *loss[-2:]) > 0:
        far = min(loss[-2:]) > FAR * max(floor, loss[0])
    if len(loss) < LOGS and not far:
        return None
    count, end = max(2, len(loss) // 5), history.train[-1]["step"]
    last = fmean(loss[-count:])
    score = history.last("loss")
    if floor is not None and floor > 0 and min(last, score or last) > 0.97 * floor:
        return (
            f"in the last {count} logs, up to step {end:,}, the training loss is {last:.4g}, where"
            f" a constant predictor scores {floor:.4g}"
        )
    judged = of_history(history)
    if floor is None and judged.none and not judged.few and (best := judged.best):
        value, level = apart(best.value, best.level)
        return f"{best.name} is {value} ({baseline(best.baseline)}: {level})"
    if floor is None and not judged.held_out and last > STOOD * loss[0] > 0:
        return (
            f"the training loss was {loss[0]:.4g} at first and is {last:.4g} in the last {count}"
            f" logs, up to step {end:,}"
        )
    # Means of three: one easy batch is no level.
    least = min(fmean(loss[i : i + 3]) for i in range(len(loss) - 2))
    if least > 0 and last > RISEN * least:
        return (
            f"the training loss has risen from {least:.4g} to {last:.4g} in the last {count} logs,"
            f" up to step {end:,}"
        )
    return None
