"""The loss falls in a straight line, and ends on it: the steps are too small to get there (K6, K7).

Adam moves a weight by at most about its rate a step, so the sum of the rate over steps is the way
that can have been gone. A curve that is straight in that sum has not bent towards its end yet.
Where the schedule itself made the last part of the way negligible, the cause is the schedule.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.trend import straight, tail, training_loss

CAUSE = "rate-too-low"
SUMMARY = "the loss was still falling in a straight line at the end: the steps are too small"
TAIL = 0.1  # of the way, in the last half of the inputs: then it is the schedule


def rule(history: History) -> Finding | None:
    way = straight(history)
    if way is None or tail(history) < TAIL:
        return None
    at, loss = training_loss(history)
    rate = max(event["lr"] for event in history.train)  # a schedule may have lowered it since
    return Finding(
        CAUSE,
        "warning",
        f"over {len(loss)} logs the loss fell from {loss[0]:.4g} to {loss[-1]:.4g} in a straight"
        f" line and did not bend; the rate adds up to {way:.3g} over {history.train[-1]['step']:,}"
        " steps, which is about as far as a weight can have moved",
        f"training.optimizer.lr: {10 * rate:.2g}, or {10 * at[-1]:_} inputs; famulus check FILE"
        " tries rates",
        step=history.train[-1]["step"],
    )
