"""Many learned steps that all stay equal: one number is learned (QSM journal, line 188)."""

from famulus.diagnosis.history import Finding, History

CAUSE = "one-degree-of-freedom"
SUMMARY = "many parameters stay equal: only their sum is learned"
EQUAL = 1e-3  # relative spread of the steps
MANY = 10


def rule(history: History) -> Finding | None:
    count = (history.config.get("model") or {}).get("steps") or 0
    spreads = [e["values"]["step_spread"] for e in history.val if "step_spread" in e["values"]]
    if count < MANY or len(spreads) < 2 or max(spreads[-2:]) > EQUAL:
        return None
    total = history.last("total_step")
    told = f"; their sum is {total:.4g}" if total is not None else ""
    return Finding(
        CAUSE,
        "info",
        f"the {count} learned steps differ by {spreads[-1]:.2g} of their mean after"
        f" {history.val[-1]['inputs']:,} inputs (limit {EQUAL:g}){told}: equal starts get equal"
        " gradients",
        "model.start: chebyshev or random; or model.learn: total, which says so with one parameter",
        step=history.val[-1]["step"],
    )
