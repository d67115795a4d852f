"""Gradients that shrink from the last layer to the first (K9).

Their size alone is no diagnosis: sound nets have small ones, and norms and Adam scale them. Named
only where the net has not learned, and where the first layers lag behind by a factor of hundreds.
"""

from statistics import median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import beats_constant, with_weights

CAUSE = "vanishing-gradient"
SUMMARY = "gradients shrink on their way to the first layers, which learn nothing"
FACTOR = 1e-3  # first over last, as AutoTrainer
LAYERS = 4


def rule(history: History) -> Finding | None:
    small = []
    for probe in history.probes:
        layers = with_weights(probe["layers"])
        if len(layers) >= LAYERS:
            small.append((layers[0]["grad"] / layers[-1]["grad"], probe, layers))
    # Nobody is accused where it is not known whether the net has learned.
    if len(small) < 3 or beats_constant(history, 0.95) is not False:
        return None
    typical = median(f for f, _, _ in small)
    if typical > FACTOR:
        return None
    _, probe, layers = small[-1]
    return Finding(
        CAUSE,
        "error",
        f"the gradient is {layers[-1]['grad']:.2g} in {layers[-1]['name']} and"
        f" {layers[0]['grad']:.2g} in {layers[0]['name']}, {len(layers)} layers before it (ratio"
        f" {typical:.1g} in the median of {len(small)} samples, limit {FACTOR:g}), and nothing is"
        " learned",
        "fewer layers, skips, batch norm, or relu in the place of sigmoid and tanh",
        step=probe["step"],
    )
