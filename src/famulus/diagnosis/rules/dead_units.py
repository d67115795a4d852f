"""Units that are zero for every input (K10): nothing passes, nothing comes back.

Limit as AutoTrainer's and SageMaker Debugger's: most of a layer, at two samples in a row.
"""

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import RECTIFYING, Layer, beats_constant, last_layers

CAUSE = "dead-units"
SUMMARY = "most units of a layer are zero for every input"
SHARE = 0.7
ALL = 0.99  # from here on no input passes


def _dead(layer: Layer) -> float:
    """Share of units that are zero for all: a unit that is alike for all without being 0 is not
    dead, its inputs are alike."""
    return min(layer.get("dead") or 0.0, layer.get("zeros") or 0.0)


def rule(history: History) -> Finding | None:
    # A net that learns is sound, however many of its units are off.
    if len(history.probes) < 3 or beats_constant(history, 0.7):
        return None
    before = {v["name"]: v for v in last_layers(history, 1)}
    dead = [
        v
        for v in last_layers(history)
        if v["type"] in RECTIFYING
        and _dead(v) >= SHARE
        and _dead(before.get(v["name"], {})) >= SHARE
    ]
    if not dead:
        return None
    worst = max(dead, key=lambda v: v["dead"])
    start = next((v for v in history.probes[0]["layers"] if v["name"] == worst["name"]), None)
    then = f" ({start['dead']:.0%} at the start)" if start and start.get("dead") is not None else ""
    more = f", and in {len(dead) - 1} more layers" if len(dead) > 1 else ""
    rate = history.train[-1]["lr"] if history.train else 0.0
    return Finding(
        CAUSE,
        "error",
        f"{worst['dead']:.0%} of the units of {worst['name']} ({worst['type']}) are the same for"
        f" every input of a batch at step {history.probes[-1]['step']:,}{then}, limit"
        f" {SHARE:.0%}{more}",
        f"training.optimizer.lr: {rate / 10:.3g}, an activation that is not flat (leaky_relu), a"
        " norm before it; biases that start at 0",
        step=history.probes[-1]["step"],
        consequences=("input-unused",) if worst["dead"] >= ALL else (),
    )
