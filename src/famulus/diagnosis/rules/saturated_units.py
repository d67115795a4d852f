"""Units in the flat part of a squashing activation (K10): their gradient is gone.

Limits of the flat part as SageMaker Debugger's order: |tanh| > .97, sigmoid below .02 or above .98.
The last activation may well be there: black pixels and sure answers are.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import SQUASHING, beats_constant, last_layers

CAUSE = "saturated-units"
SUMMARY = "most outputs of a tanh or sigmoid lie in its flat part"
SHARE = 0.5  # where little is learned
MOST = 0.75  # whatever is learned, at the first sample and at the last


def rule(history: History) -> Finding | None:
    if len(history.probes) < 2:
        return None
    limit = MOST if beats_constant(history, 0.7) else SHARE
    layers = last_layers(history)
    inner = {v["name"] for v in layers[:-1]}
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
    more = f", and in {len(flat) - 1} more layers" if len(flat) > 1 else ""
    return Finding(
        CAUSE,
        "warning",
        f"{worst['saturated']:.0%} of the outputs of {worst['name']} ({worst['type']}) lie in its"
        f" flat part at step {history.probes[-1]['step']:,}, limit {limit:.0%}{more}",
        "inputs and weights of unit size (data.scaling, the usual initialisation), a norm before"
        " it, or model.activation: relu",
        step=history.probes[-1]["step"],
        consequences=("vanishing-gradient",) if _at_start(history, worst["name"]) else (),
    )


def _at_start(history: History, name: str) -> bool:
    first = [v for v in history.probes[0]["layers"] if v["name"] == name]
    return bool(first) and (first[0].get("saturated") or 0) >= SHARE
