"""What rules read off the layers of sampled steps."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from famulus.diagnosis.contract import graph
from famulus.diagnosis.history import History

Layer = Mapping[str, Any]
SQUASHING = ("Tanh", "Sigmoid", "Hardtanh", "Hardsigmoid", "Softsign")
RECTIFYING = ("ReLU", "ReLU6", "LeakyReLU", "Threshold")


def series(history: History) -> dict[str, list[tuple[int, Layer]]]:
    """(step, layer) at each sample, by the layer's name, in the order of the net."""
    by_name: dict[str, list[tuple[int, Layer]]] = {}
    for probe in history.probes:
        for layer in probe["layers"]:
            by_name.setdefault(layer["name"], []).append((probe["step"], layer))
    return by_name


def last_layers(history: History, back: int = 0) -> list[Layer]:
    """Of the last sample, or of one before it."""
    return list(history.probes[-1 - back]["layers"]) if len(history.probes) > back else []


def with_weights(layers: Iterable[Layer]) -> list[Layer]:
    """Layers that are trained and got a gradient that is a number."""
    trained = [v for v in layers if v["numbers"] and v.get("trainable", True)]
    return [v for v in trained if v.get("grad") and math.isfinite(v["grad"])]


def last_activation(history: History) -> str:
    """`net.4 (Softmax)` where the model's last layer is what its outputs come from, else `softmax`:
    where a function gives them, no module has a name."""
    kind = str(graph(history).get("output"))
    last = next(iter(last_layers(history)[-1:]), {"name": "", "type": ""})
    if str(last["type"]).lower() != kind.lower():
        return f"the last {kind.lower()}"
    return history.owner.script.layer(str(last["name"]), str(last["type"]))


def ratio(layer: Layer) -> float | None:
    """Update over weight: how much of itself a layer changes in a step."""
    if not layer.get("update") or not layer.get("weight"):
        return None
    value = float(layer["update"]) / float(layer["weight"])
    # of weights that are infinite any update is no share
    return value if 0 < value < math.inf else None
