"""Weights that should be trained and stay what they were, bit for bit (K5).

Told apart by why: the optimizer does not have them, no gradient arrives, or every gradient is 0.
"""

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import Layer, series
from famulus.diagnosis.remedy import Remedy, advise, learning_rate

CAUSE = "weights-do-not-move"
SUMMARY = "weights that should be trained stay bit for bit what they were"
SAMPLES = 3  # of the layer, none of which moved
MOST = 0.5  # of the trained numbers, that gradients of exactly 0 must leave where they are
MEANT = ("frozen", "freeze", "thaw_every", "grow")  # of a model: parts that stand still on purpose


def rule(history: History) -> Finding | None:
    model = history.config.get("model") or {}
    if any(model.get(key) for key in MEANT) or not any(e.get("lr") for e in history.train):
        return None
    still: dict[str, list[tuple[int, Layer]]] = {}
    trained_numbers = 0
    for name, seen in series(history).items():
        known = [(step, v) for step, v in seen if v["numbers"] and v.get("moved") is not None]
        trained = [pair for pair in known if pair[1].get("trainable", True)]
        trained_numbers += trained[-1][1]["numbers"] if trained else 0
        if len(trained) >= SAMPLES and not any(v["moved"] for _, v in trained):
            still[name] = trained
    zero = [
        n for n, seen in still.items() if seen[-1][1].get("held") and seen[-1][1].get("grad") == 0
    ]
    if sum(still[n][-1][1]["numbers"] for n in zero) < MOST * trained_numbers:
        for name in zero:  # a layer for labels where there are none, units that are off
            del still[name]
    if not still:
        return None
    name, seen = max(still.items(), key=lambda pair: pair[1][-1][1]["numbers"])
    step, layer = seen[-1]
    numbers = sum(v[-1][1]["numbers"] for v in still.values())
    rest = len(still) - 1
    others = f" and {rest} more layer{'s' * (rest > 1)}" if rest else ""
    if layer.get("held") is False:
        why, do = "the optimizer does not have them", Remedy("pass the model's parameters to it")
    elif layer.get("grad") is None:
        why = "no gradient arrives"
        do = Remedy("look for detach, no_grad, argmax or a copy on the way to the loss")
    elif not layer["grad"]:
        why = "every gradient is 0"
        do = Remedy("look for dead or saturated units behind the layer")
    else:
        why = f"a gradient of {layer['grad']:.2g} arrives, and nothing moves"
        do = advise(history.owner, learning_rate(rates.higher(history)))
    return Finding(
        CAUSE,
        "error",
        f"layer {name} ({layer['type']}){others}, {numbers:,} weights, stayed the same bit for bit"
        f" in {len(seen)} sampled steps up to step {step:,}: {why}",
        do.text,
        changes=do.changes,
        step=seen[0][0],
    )
