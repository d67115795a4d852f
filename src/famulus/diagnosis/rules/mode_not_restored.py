"""A training that goes on in evaluation mode, or a validation in training mode.

Exact where the whole model was in training mode at an earlier step and never again: a validation
called `eval()` and nobody `train()`. Norms alone that stand still, or a model that is trained in
evaluation mode from the start, are often meant.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.loop import ENOUGH, samples, severity
from famulus.diagnosis.remedy import advise, line

CAUSE = "mode-not-restored"
SUMMARY = "the model trains in evaluation mode, or is validated in training mode"
SAMPLES = 2  # that show it: one may be an accident
EFFECT = "dropout drops nothing there, and batch norms keep their statistics"


def rule(history: History) -> Finding | None:
    return _training(history) or _validation(history)


def _training(history: History) -> Finding | None:
    switched, since, seen = _switched(history)
    if since is None:
        return None
    model = history.owner.script.model
    before = f"was in training mode before step {since:,} and since then " if switched else "was "
    return Finding(
        CAUSE,
        severity(history) if switched or of_history(history).gained(ENOUGH) is False else "info",
        f"the model {before}in evaluation mode, in {seen}: {EFFECT}",
        advise(history.owner, line(f"{model}.train()", "before each epoch")).text,
        step=since,
    )


def _switched(history: History) -> tuple[bool, int | None, str]:
    """Did the mode change, since which step is it evaluation (None: it is not), and who says so."""
    since = history.facts.get("evaluation_since")
    if isinstance(since, int):
        return True, since, "all steps"
    known = [(step, loop) for step, loop in samples(history) if loop.get("modes")]
    # what trains by itself was put into that mode by somebody who knows
    still = [not loop.get("training", True) and not any(loop["modes"]) for _, loop in known]
    count = next((n for n, one in enumerate(reversed(still)) if not one), len(still))
    if count < SAMPLES:
        return False, None, ""
    return count < len(still), known[-count][0], f"all {count} sampled steps"


def _validation(history: History) -> Finding | None:
    if history.facts.get("validation_mode") != "training":
        return None
    model = history.owner.script.model
    return Finding(
        CAUSE,
        "info" if history.opposed else "warning",  # some generators draw by their dropout
        "the last validation that was looked at called the model in training mode: dropout drops"
        " there, and batch norms learn from what is held out",
        advise(
            history.owner, line(f"{model}.eval()", "before a validation, and train() after it")
        ).text,
        step=history.val[-1]["step"] if history.val else None,
    )
