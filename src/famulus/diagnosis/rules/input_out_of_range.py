"""What the model is called with lies far from mean 0 and deviation 1, for which layers are started.

A norm as the first layer takes an offset and a scale away; so does a lookup of ids.
"""

from famulus.diagnosis.figures import usual
from famulus.diagnosis.history import Event, Finding, History
from famulus.diagnosis.layers import last_layers
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.remedy import advise, line

CAUSE = "input-out-of-range"
SUMMARY = "numbers of the input lie far from the range that models are started for"
FAR = 30.0  # abs(mean) + sd, as `famulus check` has it
VERY_FAR = 300.0  # the same, where no baseline says whether anything is learned
FLAT = 0.02  # sd, around a mean that is not larger: next to nothing reaches the first layer
SAMPLES = 2
GAINED = 0.3  # of a baseline's error: such a net has coped with it
GREY = 255.0  # the largest level of 8 bits


def rule(history: History) -> Finding | None:
    seen = [probe["batch"]["inputs"] for probe in history.probes if _known(probe)]
    judged = of_history(history)
    learned = judged.gained(GAINED)
    if history.owner.is_file:  # its batches hold more than what the model is called with: see check
        return None
    if len(seen) < SAMPLES or _indifferent(history):
        return None
    least = min(abs(batch["mean"]) + batch["std"] for batch in seen)
    most = max(abs(batch["mean"]) + batch["std"] for batch in seen)
    if least <= FAR and most >= FLAT:
        return None
    # that a loss has halved, where nothing else is known, is what far inputs bring about first
    beyond = least > VERY_FAR and not judged.held_out
    if learned and not beyond:
        return None
    low, high = min(batch["min"] for batch in seen), max(batch["max"] for batch in seen)
    grey = low >= 0 and 1 < high <= GREY
    code = "x = x / 255" if grey else "x = (x - x.mean(0)) / x.std(0).clamp_min(1e-6)"
    last = seen[-1]
    remedy = advise(history.owner, line(code, "before the model, as the training split has it"))
    return Finding(
        CAUSE,
        "error" if learned is False else "warning",
        f"inputs have mean {last['mean']:.4g} and deviation {last['std']:.3g}, from {low:.4g} to"
        f" {high:.4g} ({len(seen)} sampled batches); layers are started for mean 0 and deviation 1"
        f" ({usual(FLAT, FAR)})",
        remedy.text,
        step=history.probes[0]["step"],
    )


def _known(probe: Event) -> bool:
    batch = (probe.get("batch") or {}).get("inputs") or {}
    known = batch.get("mean") is not None and batch.get("std") is not None
    return bool(batch.get("finite", True)) and known


def _indifferent(history: History) -> bool:
    """Is the first layer one that any scale and offset suits?"""
    first = next((str(v["type"]) for v in last_layers(history) if v["numbers"]), "")
    return "Norm" in first or first.startswith("Embedding")
