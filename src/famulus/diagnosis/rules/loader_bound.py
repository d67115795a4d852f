"""The device waits for data (K21)."""

from statistics import median

from famulus.diagnosis.history import Finding, History

CAUSE = "loader-bound"
SUMMARY = "training waits for data more than a quarter of its time"
LIMIT = 0.25
ENOUGH = 5  # logs; the first ones fill caches


def rule(history: History) -> Finding | None:
    waits = [event["wait"] for event in history.train if "wait" in event][2:]
    if len(waits) < ENOUGH or median(waits) < LIMIT:
        return None
    return Finding(
        CAUSE,
        "warning",
        f"{median(waits):.0%} of the step time is waiting for data (median of {len(waits)} logs;"
        f" limit {LIMIT:.0%})",
        "training.workers: 4, or a converted set (famulus data convert) that is read from memory",
        step=history.train[-1]["step"],
    )
