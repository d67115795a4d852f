"""Units that are zero for every input (K10): nothing passes, nothing comes back.

Limit as AutoTrainer's and SageMaker Debugger's: most of a layer, at two samples in a row.
"""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.figures import more
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import RECTIFYING, Layer, last_layers
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, activation, advise, norm

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
    if len(history.probes) < 3 or of_history(history).gained(0.3):
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
    first, last = history.probes[0], history.probes[-1]
    start = next((v for v in first["layers"] if v["name"] == worst["name"]), None)
    then = ""
    if start and start.get("dead") is not None:
        then = f" ({start['dead']:.0%} at step {first['step']:,})"
    name = str(worst["name"])
    flat = worst["type"] != "LeakyReLU"  # which is what it has
    leaky = [activation("leaky_relu", "LeakyReLU", why="flat nowhere", layer=name)] if flat else []
    remedy = advise(
        history.owner,
        rates.step(history, rates.lower(history), layer=_weights_before(history, name)),
        *leaky,
        norm(),
        Step(
            code="nn.init.zeros_(layer.bias)",
            where="of the layer before it",
            words="biases that start at 0",
        ),
    )
    return Finding(
        CAUSE,
        "error",
        f"{worst['dead']:.0%} of the units of layer {worst['name']} ({worst['type']}) are 0 for"
        f" every sample of a batch at step {last['step']:,}{then}, limit"
        f" {SHARE:.0%}{more(len(dead) - 1, 'layer')}",
        remedy.text,
        changes=remedy.changes,
        step=last["step"],
        consequences=("input-unused",) if worst["dead"] >= ALL else (),
    )


def _weights_before(history: History, name: str) -> str:
    """The layer with weights whose output an activation takes."""
    layers = last_layers(history)
    place = next(n for n, layer in enumerate(layers) if layer["name"] == name)
    return next((str(v["name"]) for v in reversed(layers[:place]) if v["numbers"]), "")
