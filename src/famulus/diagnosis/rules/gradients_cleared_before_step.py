"""`zero_grad` between backward and update: the optimizer finds nothing.

Exact: gradients arrived in the backward pass, and were gone or 0 at the update that followed.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import gradients, severity, variable
from famulus.diagnosis.remedy import advise, line

CAUSE = "gradients-cleared-before-step"
SUMMARY = "gradients are cleared between the backward pass and the update, which finds none"
SAMPLES = 2  # that show it: one may be an accident


def rule(history: History) -> Finding | None:
    for number, every in gradients(history).items():
        seen = [pair for pair in every if "used" in pair[1] and pair[1].get("arrived")]
        if len(seen) < SAMPLES or any(norms["used"] for _, norms in seen):
            continue
        step, norms = seen[-1]
        name = variable(history, number)
        return Finding(
            CAUSE,
            severity(history),
            f"in all {len(seen)} sampled steps gradients arrived and were 0 or gone when the"
            f" optimizer updated: at step {step:,} one of norm {norms['arrived']:.3g}",
            advise(
                history.owner,
                line(f"{name}.zero_grad()", f"before loss.backward() or after {name}.step()"),
            ).text,
            step=seen[0][0],
        )
    return None
