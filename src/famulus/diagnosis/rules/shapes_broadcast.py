"""Outputs (B, 1) beside targets (B,): a loss of pairs becomes one of all outputs with all targets.

Such a loss is least where all outputs are the mean of all targets.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from famulus.diagnosis.contract import EVERYTHING, forms, graph, operations, severity
from famulus.diagnosis.history import Finding, History
from famulus.diagnosis.remedy import advise, line

CAUSE = "shapes-broadcast"
SUMMARY = "output and target differ in shape and are broadcast against each other"
PAIRED = ("mse", "l1", "smooth_l1", "bce", "bce_with_logits")  # an output has one target
SAMPLES = 2
VARIED = 0.01  # sd of outputs over that of targets: of constant ones every comparison is the same


def rule(history: History) -> Finding | None:
    known = forms(history)
    if len(known) < SAMPLES:
        return None
    column = _column(history, known[0])
    if not column:
        if not _all_compared(known) and not _all_pairs(history, known[0]):
            return None
        if not any(_varied(probe.get("batch") or {}) for probe in history.probes):
            return None
    outputs, targets = column or known[0]["output_shape"], known[0]["target_shape"]
    count = math.prod(np.broadcast_shapes(outputs, targets))
    one = math.prod(outputs) == math.prod(targets)
    code = "targets.view_as(outputs)" if one else "targets.unsqueeze(1).expand_as(outputs)"
    remedy = advise(history.owner, line(code, "before the loss: as many targets as outputs"))
    return Finding(
        CAUSE,
        severity(history),
        f"the loss compares outputs of shape {_shape(outputs)} with targets of shape"
        f" {_shape(targets)}: {count:,} comparisons, of every output with targets of other samples",
        remedy.text,
        step=0,
        consequences=(*EVERYTHING, "memorises", "converged"),
    )


def _all_compared(known: Sequence[Mapping[str, Any]]) -> bool:
    return all(form.get("loss") in PAIRED and _crossed(form) for form in known)


def _all_pairs(history: History, first: Mapping[str, Any]) -> bool:
    """Of a loss of one's own: does its arithmetic give a tensor of that many pairs?"""
    widest = graph(history).get("widest")
    if not widest or not operations(history) or not _crossed(first):
        return False
    return list(widest) == list(np.broadcast_shapes(first["output_shape"], first["target_shape"]))


def _column(history: History, first: Mapping[str, Any]) -> list[int]:
    """Shape of a column of the outputs, (B, 1, ...), that meets targets of (B, ...); [] if none."""
    before, _ = graph(history).get("crossed") or ([], [])
    targets = list(first.get("target_shape") or [])
    return list(before) if before and [before[0], *before[2:]] == targets else []


def _crossed(form: Mapping[str, Any]) -> bool:
    """Are there more pairs than outputs, or targets, where one is set beside the other?

    Axes of size 1 that both have are written on purpose, as for all pairs of two sets.
    """
    outputs, targets = form.get("output_shape"), form.get("target_shape")
    if not outputs or not targets:
        return False
    try:
        shape = np.broadcast_shapes(outputs, targets)
    except ValueError:  # they don't fit
        return False
    most = max(math.prod(outputs), math.prod(targets))
    return len(outputs) != len(targets) and math.prod(shape) > most


def _varied(batch: Mapping[str, Mapping[str, Any]]) -> bool:
    outputs, targets = batch.get("outputs", {}), batch.get("targets", {})
    return float(outputs.get("std") or 0.0) > VARIED * float(targets.get("std") or 0.0)


def _shape(sizes: Sequence[int]) -> str:
    return f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"
