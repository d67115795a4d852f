"""The net is no better than a constant predictor: it learned nothing of its input (K1)."""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.figures import apart, baseline
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, advise

CAUSE = "predicts-the-mean"
SUMMARY = "after training no score is better than a constant predictor's: the input is not used"
KNOWN = 0.1  # of a baseline's error gone in training


def rule(history: History) -> Finding | None:
    judged = of_history(history)
    enough = len(history.val) > 1 if history.val else bool(judged.held_out)
    if not enough or judged.verdict is True or judged.early:
        return None
    if any(c.gain > KNOWN for c in judged.trained):
        return None  # it has overfitted its training samples: another cause
    # Of few samples chance alone may look like a little: then losses decide.
    losses = [c for c in judged.held_out if c.baseline == "best constant"]
    if judged.verdict is None and not (losses and all(c.none for c in losses)):
        return None
    near = [c for c in judged.held_out if c.none]
    if not near:
        return None
    scores = []
    for comparison in near[:3]:
        value, level = apart(comparison.value, comparison.level)
        scores.append(f"{comparison.name} is {value} ({baseline(comparison.baseline)}: {level})")
    last = (history.val or history.train)[-1]
    unclear = "" if judged.verdict is False else ", and no other score is clearly better"
    remedy = advise(
        history.owner,
        Step(
            command="famulus check FILE, which tells whether the target belongs to the input",
            words="look at ten samples, whether the target belongs to the input",
        ),
        *rates.steps(history),
    )
    return Finding(
        CAUSE,
        "error",
        f"after {last['inputs']:,} samples {', '.join(scores)}: no better than a"
        f" predictor that does not look at its input{unclear}",
        remedy.text,
        changes=remedy.changes,
        step=last["step"],
    )
