"""Units in the flat part of a squashing activation (K10): their gradient is gone.

Limits of the flat part as SageMaker Debugger's order: |tanh| > .97, sigmoid below .02 or above .98.
The last activation may well be there: black pixels and sure answers are.
"""

from famulus.diagnosis.figures import more
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import SQUASHING, Layer, last_layers
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, activation, advise, norm, setting

CAUSE = "saturated-units"
SUMMARY = "most outputs of a tanh or sigmoid lie in its flat part"
SHARE = 0.5  # where little is learned
MOST = 0.75  # whatever is learned, at the first sample and at the last


def rule(history: History) -> Finding | None:
    if len(history.probes) < 2:
        return None
    gained = of_history(history).gained(0.3)
    # of a loop of one's own that may have learned for all that is known, as of one that has
    limit = MOST if gained or (gained is None and not history.owner.is_file) else SHARE
    layers = last_layers(history)
    inner = {v["name"] for v in layers} - _last(history, layers)
    from_start = limit == MOST
    before = {
        v["name"]: v for v in last_layers(history, len(history.probes) - 1 if from_start else 1)
    }
    flat = [
        v
        for v in layers
        if v["type"] in SQUASHING
        and v["name"] in inner
        and (v.get("saturated") or 0) >= limit
        and (before.get(v["name"], {}).get("saturated") or 0) >= limit
    ]
    if not flat:
        return None
    worst = max(flat, key=lambda v: v["saturated"])
    remedy = advise(
        history.owner,
        activation("relu", "ReLU", layer=str(worst["name"])),
        norm(),
        setting("data.scaling", "standard", why="inputs of mean 0 and deviation 1"),
        Step(
            code="x = (x - x.mean(0)) / x.std(0)",
            where="inputs of mean 0 and deviation 1",
            words="inputs of mean 0 and deviation 1, and weights as torch's layers start",
        ),
    )
    return Finding(
        CAUSE,
        "warning",
        f"{worst['saturated']:.0%} of the outputs of layer {worst['name']} ({worst['type']}) lie in"
        f" its flat part at step {history.probes[-1]['step']:,}, limit"
        f" {limit:.0%}{more(len(flat) - 1, 'layer')}",
        remedy.text,
        changes=remedy.changes,
        step=history.probes[-1]["step"],
        consequences=("vanishing-gradient",) if _at_start(history, worst["name"]) else (),
    )


def _last(history: History, layers: list[Layer]) -> set[str]:
    """The last layer; where several nets are trained, as in a GAN, that of each part."""
    ends = {str(v["name"]).partition(".")[0]: str(v["name"]) for v in layers}
    return set(ends.values()) if history.opposed else {str(v["name"]) for v in layers[-1:]}


def _at_start(history: History, name: str) -> bool:
    first = [v for v in history.probes[0]["layers"] if v["name"] == name]
    return bool(first) and (first[0].get("saturated") or 0) >= SHARE
