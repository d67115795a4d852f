"""Dropout that leaves too little to learn from."""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import of_choice, samples
from famulus.diagnosis.remedy import Change, advise, either

CAUSE = "dropout-too-high"
SUMMARY = "dropout takes away nearly all of what a layer passes on"
SAMPLES = 2  # that show it: one may be an accident
MOST = 0.75  # half is usual; from here on a unit is met by less than every fourth sample
USUAL = 0.2


def rule(history: History) -> Finding | None:
    seen = [(step, loop["dropout"]) for step, loop in samples(history) if loop.get("dropout")]
    high = [(step, module) for step, module in seen if module["p"] > MOST]
    if len(high) < SAMPLES:
        return None
    step, module = high[-1]
    script = history.owner.script
    place = script.place(str(module["name"]))
    remedy = advise(
        history.owner,
        either(
            Change("model.dropout", USUAL),
            Change("model.head.dropout", USUAL),
            code=f"{place}.p = {USUAL}" if place else f"nn.{module['type']}({USUAL})",
            words="less dropout",
        ),
    )
    return Finding(
        CAUSE,
        of_choice(history),
        f"{script.layer(str(module['name']), str(module['type']))} drops {module['p']:.0%} of its"
        f" input in training (limit {MOST:.0%}), up to step {step:,}",
        remedy.text,
        changes=remedy.changes,
        step=high[0][0],
    )
