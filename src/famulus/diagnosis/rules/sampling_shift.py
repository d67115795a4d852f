"""Training sees other places than validation: it learns how common the target is there (K19).

Where samples are drawn around what is looked for, a net learns p(found | drawn there). On samples
drawn evenly it then finds too much, however well it tells one from the other.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import Change, advise, together

CAUSE = "sampling-shift"
SUMMARY = "samples are drawn from other places in training than in validation"
PREDICTED, TRUE = "predicted prevalence", "prevalence"
LIMIT = 1.4  # predicted share / true share
LAST = 3  # validations, all of them


def rule(history: History) -> Finding | None:
    data = history.section("data")
    share = data.get("edges") or 0.0
    if not share or (data.get("weighted", True) and share < 1):
        return None  # drawn evenly, or weighted so that it comes to the same
    values = [e["values"] for e in history.val if PREDICTED in e["values"] and TRUE in e["values"]]
    if len(values) < LAST:
        return None
    ratios = [v[PREDICTED] / v[TRUE] for v in values[-LAST:] if v[TRUE] > 0]
    if len(ratios) < LAST or min(ratios) < LIMIT:
        return None
    last = values[-1]
    remedy = advise(
        history.owner,
        together(
            Change("data.edges", 0.5),
            Change("data.weighted", True),
            why="the loss is then that of even sampling",
        ),
    )
    return Finding(
        CAUSE,
        "warning",
        f"the predicted prevalence is {last[PREDICTED]:.3f} where the true one is {last[TRUE]:.3f},"
        f" {ratios[-1]:.1f} times as much (limit {LIMIT}, in each of the last {LAST} validations);"
        f" {share:.0%} of the cubes have an edge at their centre, and their pixels are not"
        " weighted",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )
