"""A training that goes on in evaluation mode: dropout drops nothing, norms hold their statistics.

Exact where the whole net was in training mode at an earlier sampled step and never again: a
validation called `eval()` and nobody `train()`. Norms alone that stand still, or a net that is
trained in evaluation mode from the start, are often meant.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import SAMPLES, samples, severity
from famulus.diagnosis.remedy import advise, line

CAUSE = "mode-not-restored"
SUMMARY = "the model trains in evaluation mode, or is validated in training mode"


def rule(history: History) -> Finding | None:
    modes = [(step, loop["training"]) for step, loop in samples(history) if loop.get("modes")]
    count = next((n for n, (_, mode) in enumerate(reversed(modes)) if mode), len(modes))
    parts = [loop["modes"] for _, loop in samples(history) if loop.get("modes")]
    # what trains by itself was put into that mode by somebody who knows
    if count < SAMPLES or any(any(modes) for modes in parts[-count:]):
        return None
    since = modes[-count][0]
    model = history.owner.script.model
    switched = count < len(modes)
    before = f"was in training mode up to step {modes[-count - 1][0]:,} and" if switched else "was"
    return Finding(
        CAUSE,
        severity(history) if switched else "info",
        f"the model {before} in evaluation mode in all {count} sampled steps from step {since:,} on,"
        " with its dropout and norms",
        advise(history.owner, line(f"{model}.train()", "before each epoch, after a validation")).text,
        step=since,
    )
