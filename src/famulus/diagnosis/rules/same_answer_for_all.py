"""The outputs of a batch are alike, though its inputs and targets are not: nothing of the input
arrives at the end."""

from collections.abc import Mapping
from typing import Any

from famulus.diagnosis import learning_rates as rates
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.learning import FEW, of_history
from famulus.diagnosis.remedy import Step, advise

CAUSE = "same-answer-for-all"
SUMMARY = "the model gives every sample of a batch the same answer"
LAST = 3  # samples, in all of which it is so
ALIKE = 0.01  # deviation of outputs over samples, of that of the targets
OF_SIZE = 1e-3  # the same of the outputs' size, where targets are classes or not known


def rule(history: History) -> Finding | None:
    probes = [probe for probe in history.probes if _varies(probe, "inputs")]
    last = probes[-LAST:]
    if len(last) < LAST or last[-1]["step"] < FEW or of_history(history).gained(0.3):
        return None
    if not all(map(_alike, last)):
        return None
    step, outputs = last[-1]["step"], (last[-1].get("batch") or {}).get("outputs")
    text = "every unit of the last layer gives the same for all samples of a batch"
    if outputs:
        text = (
            f"outputs differ by {_over(outputs):.2g} over the samples of a batch (standard"
            f" deviation), around {outputs['mean']:.3g}"
        )
        targets = (last[-1].get("batch") or {}).get("targets")
        if targets and _over(targets) is not None:
            text += f"; targets differ by {_over(targets):.2g}"
    remedy = advise(
        history.owner,
        Step(words="look at which layer's outputs are alike for all samples: the page lists them"),
        *rates.steps(history),
    )
    return Finding(
        CAUSE,
        "error" if of_history(history).gained(0.05) is False else "warning",
        f"{text}; so in the last {LAST} sampled batches, up to step {step:,}",
        remedy.text,
        changes=remedy.changes,
        step=last[0]["step"],
        consequences=("predicts-the-mean", "plateau", "features-collapsed"),
    )


def _over(tensor: Mapping[str, Any]) -> float | None:
    """Deviation over the samples."""
    std, spread = tensor.get("std"), tensor.get("spread")
    return None if std is None or spread is None else float(std) * float(spread)


def _varies(probe: Mapping[str, Any], name: str) -> bool:
    over = _over((probe.get("batch") or {}).get(name) or {})
    return over is not None and over > 0


def _alike(probe: Mapping[str, Any]) -> bool:
    batch = probe.get("batch") or {}
    outputs, targets = batch.get("outputs"), batch.get("targets")
    if not outputs or (over := _over(outputs)) is None:
        trained = [v for v in probe["layers"] if v["numbers"] and v.get("calls")]
        return bool(trained) and trained[-1].get("dead") == 1
    real = (probe.get("forms") or {}).get("targets") == "real"
    if real and targets and (wanted := _over(targets)):
        return over < ALIKE * wanted
    size = abs(outputs.get("mean") or 0.0) + float(outputs.get("std") or 0.0)
    return over < OF_SIZE * size or over == 0
