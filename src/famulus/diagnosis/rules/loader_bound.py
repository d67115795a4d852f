"""The device waits for data (K21)."""

from statistics import quantiles

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Step, advise, loader_threads

CAUSE = "loader-bound"
SUMMARY = "training waits for data more than a quarter of its time"
LIMIT = 0.25
ENOUGH = 5  # logs; the first ones fill caches
LOST_S = 2.0  # seconds waited in all, from which it is worth a word
FAULT_S = 60.0  # from which it is a fault of a loop of one's own


def rule(history: History) -> Finding | None:
    events = [event for event in history.train if "wait" in event][2:]
    if len(events) < ENOUGH:
        return None
    # Three quarters of the logs wait that long: a busy machine waits now and then.
    low, usual, _ = quantiles((event["wait"] for event in events), n=4)
    seconds = events[-1].get("s")
    if low < LIMIT or (seconds is not None and usual * seconds < LOST_S):
        return None
    slight = not history.owner.is_file and seconds is not None and usual * seconds < FAULT_S
    lost = f", about {usual * seconds:,.0f} s of {seconds:,.0f}" if seconds else ""
    remedy = advise(
        history.owner,
        loader_threads(history.owner),
        Step(
            command="famulus data convert, once: the converted dataset is read from memory",
            words="a dataset that is read from memory",
        ),
    )
    return Finding(
        CAUSE,
        "info" if slight else "warning",
        f"the loader can't keep up: {usual:.0%} of the time goes to waiting for data (median of"
        f" {len(events)} logs, limit {LIMIT:.0%}{lost})",
        remedy.text,
        changes=remedy.changes,
        step=history.train[-1]["step"],
    )
