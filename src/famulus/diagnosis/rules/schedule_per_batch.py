"""A schedule meant for epochs that is stepped with each batch: its whole way is over in no time.

Seen in the rates themselves: they are next to nothing long before the end and were taken there in
steps a few updates apart, or go to nothing and back again and again. A schedule that is meant for
batches ends where the run ends.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning_rates import peak
from famulus.diagnosis.loop import of_choice
from famulus.diagnosis.remedy import Step, advise

CAUSE = "schedule-per-batch"
SUMMARY = "a schedule of epochs is stepped with each batch: the learning rate is gone, or swings"
LITTLE = 0.01  # of the highest rate
WARM = 0.5  # of the highest rate, from which a schedule that warms up begins
EARLY = 0.5  # of the run, by which no more than that is left
APART = 50  # updates from change to change: an epoch of fewer batches is rare
TURNS = 10  # from falling to rising


def rule(history: History) -> Finding | None:
    text = _gone(history) or _swings(history)
    if not text or history.owner.is_file:
        return None
    severity = of_choice(history)
    step = Step(
        code="scheduler.step()",
        where="once an epoch, behind the loop over batches",
        why="or a schedule as long as the run in batches",
    )
    return Finding(
        CAUSE, severity, text, advise(history.owner, step).text, history.train[-1]["step"]
    )


def _gone(history: History) -> str:
    top = peak(history)
    logs = [event for event in history.train if event.get("lr") is not None]
    large = [n for n, event in enumerate(logs) if event["lr"] > LITTLE * top]
    if not logs or not large or large[-1] + 1 == len(logs):
        return ""
    if logs[0]["lr"] < WARM * top:  # it rose first: meant for batches, and too short
        return ""
    at, end = logs[large[-1] + 1]["step"], logs[-1]["step"]
    changes = sum(event.get("lr_changes", 0) for event in logs[: large[-1] + 2])
    if at > EARLY * end or _by_epoch(history, logs) or changes * APART < at:
        return ""
    return (
        f"the learning rate fell from {top:.3g} to {logs[large[-1] + 1]['lr']:.2g} within the first"
        f" {at:,} of {end:,} updates, in {changes:,} changes, and stayed below {LITTLE:.0%} of its"
        " highest value"
    )


def _swings(history: History) -> str:
    turns = sum(event.get("lr_turns", 0) for event in history.train)
    if turns < TURNS or _by_epoch(history, history.train):
        return ""
    end = history.train[-1]["step"]
    if end / turns > 2 * APART:  # down and up
        return ""
    return (
        f"the learning rate fell and rose again {turns:,} times in {end:,} updates, every"
        f" {end / turns:.0f} updates (limit {2 * APART})"
    )


def _by_epoch(history: History, logs: list) -> bool:
    """Are there no more changes than epochs, where these are known?"""
    epochs = history.facts.get("epochs")
    changes = sum(event.get("lr_changes", 0) for event in logs)
    return epochs is not None and changes <= epochs
