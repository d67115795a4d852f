"""The update comes before the backward pass of its own batch.

Exact: in a loop these three follow each other in a circle, and the two ways round it differ
wherever one begins to look. Several optimizers, or several batches an update, make other circles:
of these nothing is said.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import samples, severity, variable
from famulus.diagnosis.remedy import advise, line

CAUSE = "step-before-backward"
SUMMARY = "the optimizer updates before the backward pass of the batch, by old gradients or none"
SAMPLES = 2  # that show it: one may be an accident
WRONG = ("forward", "update", "backward")


def rule(history: History) -> Finding | None:
    orders = [(step, list(loop["order"])) for step, loop in samples(history) if "order" in loop]
    if history.opposed or len(orders) < SAMPLES or not all(_wrong(order) for _, order in orders):
        return None
    name = variable(history, 0)
    return Finding(
        CAUSE,
        severity(history),
        f"in all {len(orders)} sampled steps up to step {orders[-1][0]:,} the order was"
        f" {', '.join(WRONG)}: {name}.step() takes the gradients of another batch, or none",
        advise(history.owner, line(f"{name}.step()", "after loss.backward()")).text,
        step=orders[0][0],
    )


def _wrong(order: list[str]) -> bool:
    circle = order[:-1] if len(order) > len(WRONG) and order[0] == order[-1] else order
    ways = [[*WRONG[n:], *WRONG[:n]] for n in range(len(WRONG))]
    return circle in ways
