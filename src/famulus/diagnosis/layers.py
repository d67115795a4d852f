"""What rules read off the layers of sampled steps."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from famulus.config.scores import find, from_json
from famulus.diagnosis.contract import left
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


def ratio(layer: Layer) -> float | None:
    """Update over weight: how much of itself a layer changes in a step."""
    if not layer.get("update") or not layer.get("weight"):
        return None
    value = float(layer["update"]) / float(layer["weight"])
    return value if math.isfinite(value) else None


def beats_constant(history: History, share: float) -> bool | None:
    """Whether the last validation is clearly below what a constant scores; None if unknown.

    Of a monitored loop that is not validated: what its last batches say (`contract.left`).
    """
    known, declared = [], from_json(history.facts.get("scores"))
    for floor in history.floors:
        means, value = floor["means"], float(floor["value"])
        meant = find(floor["score"], declared)
        if meant and meant.better == "higher":  # a fraction of it says nothing
            continue
        if means in ("best constant", "zero image") and value > 0:
            score = history.last(floor["score"])
            if score is not None:
                known.append(score < share * value)
    if not known and (remain := left(history)) is not None:
        return remain < share
    return any(known) if known else None
