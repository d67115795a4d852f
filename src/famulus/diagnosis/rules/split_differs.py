"""Validation puts other numbers into the model than training does: one of both is not normalised.

Judged on the first batches of each: a scale or an offset that no sampled training batch comes near.
Batches of one class, or of pictures that are not augmented, stay within these limits.
"""

from collections.abc import Mapping
from typing import Any

from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, line

CAUSE = "split-differs"
SUMMARY = "training and validation come from different distributions"
SCALE = 3.0  # times any training batch's sd, or a third of it
OFFSET = 2.0  # sds from any training batch's mean
WORSE = 3.0  # validation loss over the training loss
SAMPLES = 2


def rule(history: History) -> Finding | None:
    held_out = history.facts.get("validation_inputs") or {}
    mean, sd = held_out.get("mean"), held_out.get("std")
    trained = [probe["batch"]["inputs"] for probe in history.probes if _known(probe)]
    if mean is None or sd is None or len(trained) < SAMPLES:
        return None
    means, sds = ([float(batch[key]) for batch in trained] for key in ("mean", "std"))
    least, most = min(sds), max(sds)
    apart = max(mean - max(means), min(means) - mean, 0.0)
    scaled = least > 0 and (sd > SCALE * most or SCALE * sd < least)
    if not scaled and not apart > OFFSET * most > 0:
        return None
    step = history.val[-1]["step"] if history.val else None
    code = "x = (x - mean) / sd"
    why = "the same steps for both splits, with the mean and sd of the training split"
    remedy = advise(history.owner, line(code, why))
    return Finding(
        CAUSE,
        "error" if _worse(history) else "warning",
        f"what validation puts into the model has mean {mean:.3g} and sd {sd:.3g}; batches of"
        f" training have means from {min(means):.3g} to {max(means):.3g} and sds from {least:.3g}"
        f" to {most:.3g} ({len(trained)} batches)",
        remedy.text,
        step=step,
        consequences=("train-eval-gap", "predicts-the-mean"),
    )


def _known(probe: Mapping[str, Any]) -> bool:
    inputs = (probe.get("batch") or {}).get("inputs") or {}
    return inputs.get("mean") is not None and inputs.get("std") is not None


def _worse(history: History) -> bool:
    score = history.last("loss")
    trained = history.train[-1]["values"].get("total") if history.train else None
    return score is not None and trained is not None and score > WORSE * trained > 0
