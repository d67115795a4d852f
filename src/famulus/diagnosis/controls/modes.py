"""The trained net on batches that it has trained on: is it another one in evaluation mode?

Two passes over a few batches, on a copy: norms take a batch's own statistics in training mode and
the running ones in evaluation mode. Where those lag behind, every validation is of another net.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

import torch
from torch import nn

from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.controls.trial import Subject, bare, quiet

NAME = "both modes"
BATCHES = 8
USUAL = 0.1  # momentum of torch's norms
RATIO = 1.5  # of the losses
MUCH = 3.0  # of the losses, from which on it is an error
SCATTER = 3.0  # standard errors of the difference over batches
MODAL = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)


def modes(subject: Subject) -> Control | None:
    """None for a net that is the same one in both modes, or without any module that could differ.

    Raises whatever the net raises when it is called again.
    """
    if not any(isinstance(module, MODAL) for module in subject.model.modules()):
        return None
    with quiet(subject.model):
        trained, judged = (_losses(subject, training) for training in (True, False))
    figures = {"training": fmean(trained), "evaluation": fmean(judged), "batches": len(trained)}
    apart = [b - a for a, b in zip(trained, judged, strict=True)]
    if len(apart) < 2 or not all(map(math.isfinite, apart)):
        return None
    least = SCATTER * stdev(apart) / math.sqrt(len(apart))
    if fmean(apart) <= least or fmean(judged) <= RATIO * fmean(trained):
        return None
    text = (
        f"on {len(trained)} batches that it was trained on the loss is {figures['evaluation']:.4g}"
        f" in evaluation mode and {figures['training']:.4g} in training mode"
    )
    much = fmean(judged) > MUCH * fmean(trained)
    return Control(
        NAME, "failed" if much else "warning", text, _remedy(subject.model), figures,
        "train-eval-gap",
    )  # fmt: skip


@torch.no_grad()
def _losses(subject: Subject, training: bool) -> list[float]:
    """Of each batch, in one mode."""
    model = bare(subject.model)
    model.load_state_dict(subject.model.state_dict())
    model.train(training)
    found = []
    for inputs, targets in subject.batches[-BATCHES:]:
        outputs: Any = subject.answer(model, inputs)
        found.append(float(subject.criterion(outputs, targets)))
    return found


def _remedy(model: nn.Module) -> str:
    """The norm whose running statistics are the slowest, or what has none."""
    norms = [m for m in model.modules() if isinstance(m, MODAL[0])]
    pairs = [(m.momentum, m) for m in norms if m.momentum is not None]
    momentum, slow = min(pairs, key=lambda pair: pair[0], default=(1.0, None))
    if slow is not None and momentum < USUAL:
        made = f"{type(slow).__name__}({slow.num_features})"
        return f"{made} (torch's momentum of {USUAL}, not {momentum:g})"
    return "nn.GroupNorm(8, channels) (has no running statistics); or larger batches"
