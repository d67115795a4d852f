"""Training brought nothing, and no rule or check knows why."""

from dataclasses import replace
from statistics import fmean

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.figures import apart, baseline
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import Learning, of_history
from famulus.diagnosis.remedy import Step, advise, budget
from famulus.diagnosis.trend import curve, training_loss

CAUSE = "cannot-tell"
SUMMARY = "training brings nothing, and nothing that is looked at explains it"
FALL = 0.02  # share of the first losses by which the last ones must be lower
ENOUGH = 8  # logged losses
LONGER = 10  # times as many samples, where it is too early to tell


def rule(history: History) -> Finding | None:
    """Asked only where nothing else was found that explains it."""
    finding, cut = _brings_nothing(history), untried(history)
    if not finding or not cut:
        return finding or cut
    evidence, remedy = f"{finding.evidence}; {cut.evidence}", f"{finding.remedy}; or {cut.remedy}"
    return replace(finding, evidence=evidence, remedy=remedy)


def untried(history: History) -> Finding | None:
    """What only trial trainings could tell, where they had too little time or too few steps."""
    trials = [e for e in history.controls if e["name"] == "trials"][-1:]
    cut = [e for e in trials if e["verdict"] == "skipped" and e.get("remedy")]
    if not cut:
        return None
    text = f"no trial trainings: {cut[0].get('text', '')}"
    return Finding(CAUSE, "info", text, cut[0]["remedy"])


def _brings_nothing(history: History) -> Finding | None:
    seen, loss = training_loss(history)
    judged = of_history(history)
    if judged.none and judged.early and history.train:
        return _early(history, judged, history.train[-1]["inputs"])
    if len(loss) < ENOUGH or judged.verdict is True:
        return None
    near = max(2, len(loss) // 8)
    first, last = fmean(loss[:near]), fmean(loss[-near:])
    fallen = f"the training loss was {first:.4g} in the first {near} logs and is {last:.4g} in the"
    fallen += f" last {near}, after {seen[-1]:,} samples"
    if judged.verdict is False and _late(history):
        best = judged.best
        assert best is not None  # a verdict is of something
        value, level = apart(best.value, best.level)
        text = f"at step {history.val[-1]['step']:,} {best.name} is {value}"
        text += f" ({baseline(best.baseline)}: {level}), no score is better than its baseline;"
        text += f" {fallen}"
        severity = "warning"
    elif _falls(history, first, last):
        return None
    else:
        text, severity = f"{fallen}; less than {FALL:.0%} lower", "info"
    remedy = advise(
        history.owner,
        Step(
            command="famulus check FILE tries to overfit one batch, and zeroed and noise inputs",
            words="train on one batch alone: a sound model overfits it within some hundred steps",
        ),
        *rates.steps(history),
    )
    step = history.train[-1]["step"]
    return Finding(CAUSE, severity, text, remedy.text, step, changes=remedy.changes)


def _early(history: History, judged: Learning, shown: int) -> Finding:
    """No score is better than its baseline, which says nothing yet."""
    best = judged.best
    assert best is not None  # what is not better is a score
    value, level = apart(best.value, best.level)
    text = f"{judged.steps} steps are not enough to tell" if judged.few else "too early to tell"
    text += f": {best.name} is {value} ({baseline(best.baseline)}: {level})"
    text += ", and still gets better" if judged.rising else ""
    longer = LONGER * shown
    remedy = advise(
        history.owner,
        budget(history.owner, longer, shown, words=f"train on, to {longer:,} samples"),
    )
    return Finding(CAUSE, "info", text, remedy.text, judged.steps, changes=remedy.changes)


def _falls(history: History, first: float, last: float) -> bool:
    _, held_out = curve(history.val, "loss")
    better = len(held_out) > 1 and held_out[0] - held_out[-1] > FALL * abs(held_out[0])
    return better or first - last > FALL * abs(first)


def _late(history: History) -> bool:
    """Was the last validation after real training, not before it?"""
    at = history.val[-1]["step"] if history.val else 0
    return sum(event["step"] <= at for event in history.train) >= ENOUGH
