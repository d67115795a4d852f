"""Gradients of earlier batches that nobody clears: each backward pass adds to all before it.

Exact: at no backward pass of a sampled step was `.grad` clear. Whoever accumulates on purpose finds
it clear at the first batch of each update.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import gradients, severity, variable
from famulus.diagnosis.remedy import advise, line

CAUSE = "gradients-accumulate"
SUMMARY = "gradients of earlier updates are never cleared: each step takes their sum"
SAMPLES = 2  # that show it: one may be an accident


def rule(history: History) -> Finding | None:
    for number, seen in gradients(history).items():
        unclear = [(step, norms) for step, norms in seen if norms.get("kept", 0.0) > 0]
        if len(unclear) < SAMPLES:
            continue
        step, norms = unclear[-1]
        name = variable(history, number)
        return Finding(
            CAUSE,
            severity(history),
            f"in {len(unclear)} of {len(seen)} sampled steps .grad was not clear at any backward"
            f" pass: at step {step:,} a gradient of norm {norms['arrived']:.3g} was added to one of"
            f" norm {norms['kept']:.3g} left from earlier updates",
            advise(
                history.owner, line(f"{name}.zero_grad()", "before loss.backward(), each update")
            ).text,
            step=unclear[0][0],
        )
    return None
