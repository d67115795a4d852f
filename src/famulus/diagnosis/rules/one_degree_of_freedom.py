"""Many learned steps that all stay equal: one number is learned (QSM journal, line 188)."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, setting

CAUSE = "one-degree-of-freedom"
SUMMARY = "many parameters stay equal: only their sum is learned"
EQUAL = 1e-3  # relative spread of the steps
MANY = 10


def rule(history: History) -> Finding | None:
    count = history.section("model").get("steps") or 0
    spreads = [e["values"]["step_spread"] for e in history.val if "step_spread" in e["values"]]
    if count < MANY or len(spreads) < 2 or max(spreads[-2:]) > EQUAL:
        return None
    total = history.last("total_step")
    sum_of_steps = f"; their sum is {total:.4g}" if total is not None else ""
    apart = "are equal"
    if spreads[-1]:
        apart = f"differ by {spreads[-1]:.2g} of their mean (limit {EQUAL:g})"
    asked = history.owner.value("model.start") == "equal"
    start = "start equal, as model.start: equal asks," if asked else "start equal"
    remedy = advise(
        history.owner,
        setting("model.start", "chebyshev"),
        setting("model.start", "random"),
        setting("model.learn", "total", why="says so with one parameter"),
    )
    return Finding(
        CAUSE,
        "info",
        f"the {count} learned steps {apart} after {history.val[-1]['inputs']:,}"
        f" samples{sum_of_steps}: they {start} and get equal gradients",
        remedy.text,
        changes=remedy.changes,
        step=history.val[-1]["step"],
    )
