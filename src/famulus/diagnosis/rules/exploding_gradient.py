"""Gradients that grow from the last layer to the first, or from step to step (K9)."""

from statistics import median

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.layers import Layer, with_weights
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import Step, advise, clipping, norm

CAUSE = "exploding-gradient"
SUMMARY = "gradients grow on their way to the first layers, or from step to step"
FACTOR = 100.0  # first over last; AutoTrainer: 70
STEEP = 30.0  # gradient over weight in the median layer of the first sample; sound nets: below 1
GROWN = 1e3  # the largest gradient of a step over that of the first steps
LAYERS = 4


def rule(history: History) -> Finding | None:
    sizes, ratios, steep = [], [], []
    for probe in history.probes:
        layers = with_weights(probe["layers"])
        if layers:
            steep.append(_steepness(layers))
            sizes.append((max(v["grad"] for v in layers), probe["step"]))
        if len(layers) >= LAYERS:
            ratios.append((layers[0]["grad"] / layers[-1]["grad"], layers, probe["step"]))
    # Norms and Adam take a gradient's size away: it is a fault only where nothing is learned.
    judged = of_history(history)
    learned = judged.gained(0.05)
    if len(sizes) < 3 or learned:
        return None
    start = median(s for s, _ in sizes[:3])
    most, step = max(sizes)
    grown = start > 0 and most > GROWN * start
    # Layers differ in many sound nets: that alone counts once the net had time to learn.
    deep = not judged.early and bool(ratios) and median(r for r, _, _ in ratios) > FACTOR
    at_start = steep[0] if steep else 0.0
    # a loss of one's own may be of any scale, as a sum over a batch: large gradients are its own
    if learned is None and not history.owner.is_file and not grown:
        return None
    if not grown and not deep and at_start < STEEP:
        return None
    if at_start >= STEEP:
        step = history.probes[0]["step"]
        text = (
            f"at step {step:,} the gradient of a layer is {at_start:,.0f} times its weights in the"
            f" median (limit {STEEP:.0f})"
        )
    elif grown:
        text = (
            f"the largest gradient of a layer grew from {start:.2g} in the first three samples to"
            f" {most:.2g} at step {step:,}"
        )
    else:
        factor, layers, step = ratios[-1]
        text = (
            f"at step {step:,} the gradient is {layers[-1]['grad']:.2g} in layer"
            f" {layers[-1]['name']} and {layers[0]['grad']:.2g} in layer {layers[0]['name']},"
            f" {factor:.0f} times as much (limit {FACTOR:.0f} in the median of {len(ratios)}"
            " samples)"
        )
    remedy = advise(
        history.owner,
        clipping(history.owner),
        norm(),
        Step(
            code="nn.init.kaiming_normal_(layer.weight)",
            where="of each layer, before training",
            words="weights that start smaller",
        ),
    )
    return Finding(
        CAUSE,
        "error",
        text + (", and nothing is learned" if learned is False else ""),
        remedy.text,
        changes=remedy.changes,
        step=step,
        consequences=("rate-too-high",) if at_start >= STEEP else (),
    )


def _steepness(layers: list[Layer]) -> float:
    """Gradient over weight in the median layer; 0 without a weight."""
    return median([v["grad"] / v["weight"] for v in layers if v.get("weight")] or [0.0])
