"""The schedule took the rate away before the net was there (K7).

Adam moves a weight by at most about its rate a step: what the last half of the steps adds to the
sum of the rate is all that they could still do. Judged on the loss before that: if it was falling
well with each doubling of the way, the way was cut short.
"""

import math

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Change, Remedy, Step, advise, significant
from famulus.diagnosis.trend import ended, line, training_loss, travel
from famulus.diagnosis.trend import tail as tail_of

CAUSE = "rate-cannot-reach"
SUMMARY = "the schedule takes the learning rate away too early: the model could not get there"
TAIL = 0.1  # share of the way that the last half of the steps could go
GAIN = 0.15  # fall of the loss that a doubled way promised
BETWEEN = (0.3, 0.9)  # shares of the way on which that is measured
LOGS = 6


def rule(history: History) -> Finding | None:
    _, loss = training_loss(history)
    way = travel(history)
    if len(loss) != len(way) or len(loss) < 2 * LOGS or not ended(history):
        return None
    tail = tail_of(history)
    part = [(math.log(w), math.log(v)) for w, v in zip(way, loss, strict=True)
            if w > 0 < v and BETWEEN[0] * way[-1] <= w <= BETWEEN[1] * way[-1]]  # fmt: skip
    if tail >= TAIL or len(part) < LOGS:
        return None
    power, _ = line(*zip(*part, strict=True))
    gain = 1 - 2**power
    # a rate that is let down brings the loss down as well, as far as a longer way would
    half = history.train[-1]["step"] / 2
    then = [v for v, event in zip(loss, history.train, strict=True) if event["step"] <= half]
    if gain < GAIN or (then and loss[-1] <= (1 - gain) * then[-1]):
        return None
    remedy = _remedy(history)
    return Finding(
        CAUSE,
        "warning",
        f"the last half of the steps had {tail:.1%} of the summed learning rate ({way[-1]:.3g} in"
        f" all; limit {TAIL:.0%}), while the training loss fell by {gain:.0%} with each doubling of"
        f" that sum: it ended at {loss[-1]:.4g}",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
        consequences=("converged", "plateau", "rate-too-low"),
    )


def _remedy(history: History) -> Remedy:
    """A schedule that keeps the rate up; another rate where no schedule took it away."""
    owner, steps = history.owner, history.train[-1]["step"]
    warmup = owner.value("training.schedule.warmup_inputs", 0)
    kept = {"warmup_inputs": warmup} if warmup else {}
    names = [n for n in ("cosine", "constant") if n != owner.value("training.schedule.name")]
    schedules = [Change("training.schedule", {"name": name, **kept}) for name in names]
    name = owner.script.optimizer()
    cosine = f"torch.optim.lr_scheduler.CosineAnnealingLR({name}, T_max={steps})"
    first = Step(ways=tuple((change,) for change in schedules[:1]), code=cosine)
    rest = [Step(ways=((change,),)) for change in schedules[1:]]
    higher = rates.step(history, significant(3 * rates.peak(history)))
    return advise(owner, first, *rest, higher)
