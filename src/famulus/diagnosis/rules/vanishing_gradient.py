"""Gradients that shrink from the last layer to the first (K9).

Their size alone is no diagnosis: sound nets have small ones, and norms and Adam scale them. Named
only where the net has not learned, and where the first layers lag behind by a factor of hundreds.
"""

from statistics import median

from famulus.diagnosis.contract import graph
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import SQUASHING, with_weights
from famulus.diagnosis.learning import Learning, of_history
from famulus.diagnosis.remedy import Step, activation, advise, norm

CAUSE = "vanishing-gradient"
SUMMARY = "gradients shrink on their way to the first layers, which learn nothing"
FACTOR = 1e-3  # first over last, as AutoTrainer
LAYERS = 4
DEEP = 8  # layers, from which on units die of it: the last ones get the same from every sample
FLAT = 0.3  # of a baseline's error gone, where as many activations have flat ends


def rule(history: History) -> Finding | None:
    small = []
    for probe in history.probes:
        layers = with_weights(probe["layers"])
        if len(layers) >= LAYERS:
            small.append((layers[0]["grad"] / layers[-1]["grad"], probe, layers))
    # Nobody is accused where it is not known, or not yet, whether the net has learned.
    judged = of_history(history)
    if len(small) < 3 or not _learned_little(judged, _flat(history)):
        return None
    typical = median(f for f, _, _ in small)
    if typical > FACTOR:
        return None
    now, probe, layers = small[-1]
    first, last = layers[0], layers[-1]
    squashing = [str(v["name"]) for v in probe["layers"][:-1] if v["type"] in SQUASHING]
    bend = activation("relu", "ReLU", layer=squashing[0] if squashing else "")
    remedy = advise(
        history.owner,
        *([bend] if squashing or _flat(history) or history.owner.is_file else []),
        norm(),
        Step(
            code="x = x + layer(x)",
            where="skip connections, or fewer layers",
            words="fewer layers, or skip connections",
        ),
    )
    learned = "no score is clearly better than its baseline"
    if judged.verdict is True:
        learned = "little is learned"
    return Finding(
        CAUSE,
        "error",
        f"at step {probe['step']:,} the gradient is {last['grad']:.2g} in layer {last['name']} and"
        f" {first['grad']:.2g} in layer {first['name']}, {len(layers) - 1} layers before it: a"
        f" ratio of {now:.1g}; the median of {len(small)} samples is {typical:.1g} (limit"
        f" {FACTOR:g}), and {learned}",
        remedy.text,
        changes=remedy.changes,
        step=probe["step"],
        consequences=("dead-units",) if len(layers) >= DEEP else (),
    )


def _learned_little(judged: Learning, flat: int) -> bool:
    """Through so many activations with flat ends a net is slow at best: then it is told, too, if it
    has begun to learn."""
    if flat < LAYERS:
        return judged.gained(0.05) is False
    return bool(judged.held_out) and not judged.few and not judged.gained(FLAT)


def _flat(history: History) -> int:
    """How many activations of the net have flat ends, also those that are functions."""
    operations = graph(history).get("ops") or {}
    return sum(count for kind, count in operations.items() if kind in SQUASHING)
