"""The loss falls in a straight line, and ends on it: the steps are too small to get there (K6, K7).

Adam moves a weight by at most about its rate a step, so the sum of the rate over steps is the way
that can have been gone. A curve that is straight in that sum has not bent towards its end yet.
Where the schedule itself made the last part of the way negligible, the cause is the schedule.
"""

from statistics import fmean

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.contract import moved
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, advise, budget
from famulus.diagnosis.trend import line, straight, tail, training_loss, travel

CAUSE = "rate-too-low"
SUMMARY = "the loss was still falling in a straight line at the end: the steps are too small"
HALVED = 0.5  # of the line's start: steps that halve it are large enough, only too few
MOST, FELL = 0.5, 0.1  # of a baseline's error gone, and of the line's start by this very run
WAY = 0.05  # of its weights, over the whole run: nothing was trained
FEWEST = 6  # logs of such a run
FALL = 0.1  # of the first losses: steps that bring it are not too small
TAIL = 0.1  # of the way, in the last half of the inputs: then it is the schedule


def rule(history: History) -> Finding | None:
    return _of_straight_fall(history) or _of_small_steps(history)


def _of_straight_fall(history: History) -> Finding | None:
    way = straight(history)
    if way is None or tail(history) < TAIL:
        return None
    at, loss = training_loss(history)
    far = travel(history)
    slope, _ = line(far, loss)
    start = fmean(loss) - slope * fmean(far)
    if 0 < loss[-1] < HALVED * start:
        return None
    if not history.owner.is_file and _usual(history):
        return None
    longer = 10 * at[-1]
    remedy = advise(
        history.owner,
        rates.step(history, rates.higher(history)),
        budget(history.owner, longer, at[-1], words=f"train on, to {longer:,} samples"),
        Step(command="famulus check FILE, whose range test suggests a learning rate"),
    )
    judged = of_history(history)
    # what a net knows before it is trained no step has taught it
    learned = judged.held_out and judged.gained(MOST) and start - loss[-1] > FELL * abs(start)
    return Finding(
        CAUSE,
        "info" if learned else "warning",
        f"over {len(loss)} logs the training loss fell from {loss[0]:.4g} to {loss[-1]:.4g} in a"
        f" straight line and did not bend; the learning rate adds up to {way:.3g} over"
        f" {history.train[-1]['step']:,} steps, about as far as a weight can have moved",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
    )


def _of_small_steps(history: History) -> Finding | None:
    """Steps that all together can't have changed the weights by more than a few percent."""
    found, (_, loss) = rates.ratios(history), training_loss(history)
    if found is None or len(loss) < FEWEST or not history.train[-1].get("lr"):
        return None
    # a control knows it from the rate and the budget, and names it as what it is
    if any(event.get("cause") == "rate-cannot-reach" for event in history.controls):
        return None
    steps, count = history.train[-1]["step"], max(2, len(loss) // 5)
    first, last = fmean(loss[:count]), fmean(loss[-count:])
    way, judged = steps * found.typical, of_history(history)
    taught = judged.gained(0.05) if history.val else moved(history)
    if way >= WAY or taught or first - last > FALL * abs(first) or judged.few:
        return None
    return Finding(
        CAUSE,
        "error" if judged.none else "warning",
        f"a step changes a layer by {found.typical:.2g} of its weights in the median: {steps:,}"
        f" steps can have changed it by {way:.2g} at most (limit {WAY:g}); the training loss was"
        f" {first:.4g} in the first {count} logs and is {last:.4g} in the last",
        (remedy := advise(history.owner, rates.step(history, rates.higher(history)))).text,
        changes=remedy.changes,
        step=steps,
    )


def _usual(history: History) -> bool:
    """Do steps change layers by what is usual? A loop of one's own, whose length nobody declared,
    may have been ended early: then it has few steps, not small ones."""
    found = rates.ratios(history)
    return found is not None and found.typical >= rates.TARGET / 2
