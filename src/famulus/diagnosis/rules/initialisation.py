"""Weights that start alike, or many times larger or smaller than layers are started with.

Units that start alike get the same gradient and stay alike. Layers that start some times too large
or small multiply that: outputs explode, saturate, or don't depend on the input. Many nets learn in
spite of it, and a last layer or branch often starts at 0 on purpose: named where little is learned.
"""

from statistics import median

from famulus.diagnosis.figures import more
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.loop import of_choice, starts
from famulus.diagnosis.remedy import advise, line

CAUSE = "initialisation"
SUMMARY = "weights start alike or far too large or small: drawn anew, the net learns"
ALIKE = 0.6  # of the layers before the last; of residual branches half may start at 0
LARGE, SMALL = 2.5, 0.02  # times sqrt(2 / fan_in), in the median layer; torch's own start has .41


def rule(history: History) -> Finding | None:
    layers = [layer for layer in starts(history) if isinstance(layer.get("size"), int | float)]
    hidden = layers[:-1]
    alike = [layer for layer in hidden if layer.get("alike")]
    size = median(layer["size"] for layer in layers) if layers else 1.0
    severity, name = of_choice(history), history.owner.script.layer
    if severity == "info":
        return None
    if alike and len(alike) >= ALIKE * len(hidden):
        one = alike[0]
        evidence = f"all weights of {name(one['name'], one['type'])}"
        evidence += more(len(alike) - 1, "layer") + " start equal: its units get equal gradients"
    elif size >= LARGE:
        one = max(layers, key=lambda layer: layer["size"])
        evidence = (
            f"weights start at {size:.2g} times the usual size in the median of {len(layers)}"
            f" layers, and at {one['size']:.2g} times in {name(one['name'], one['type'])} (limit"
            f" {LARGE:g}; usual: a root mean square of sqrt(2 / fan_in))"
        )
    elif size <= SMALL and severity == "error" and len(layers) > 1:
        one = min(layers, key=lambda layer: layer["size"])
        evidence = (
            f"weights start at {size:.1g} times the usual size in the median of {len(layers)}"
            f" layers, and at {one['size']:.1g} times in {name(one['name'], one['type'])} (limit"
            f" {SMALL:g}; usual: a root mean square of sqrt(2 / fan_in))"
        )
    else:
        return None
    remedy = advise(history.owner, line("nn.init.kaiming_normal_(layer.weight)", "of each layer"))
    text = remedy.text + "; or leave the start to torch's layers"
    return Finding(CAUSE, severity, evidence, text, 0)
