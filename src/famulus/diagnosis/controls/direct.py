"""The loss of a loop of one's own, with its outputs optimised directly: is there an answer at all?

What `famulus check` does with a task's loss (`controls.free_output`), on a batch that was kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from famulus.diagnosis.controls.bench import Control
from famulus.diagnosis.controls.free_output import NAME, free_output
from famulus.diagnosis.controls.trial import Subject, bare, quiet

SAME = 1e-6  # relative: sums in another order differ less


def direct(subject: Subject) -> Control | None:
    """What is wrong with the loss itself; None where its outputs can be answered well.

    Raises whatever the net or the loss raises when it is called again.
    """
    inputs, targets = subject.batches[-1]

    def loss(free: Sequence[Tensor], some: slice) -> Tensor:
        return subject.criterion(free[0], targets[some])

    with quiet(subject.model):
        model = bare(subject.model)
        model.load_state_dict(subject.model.state_dict())
        outputs = subject.answer(model, inputs)
        found = free_output([outputs], loss, len(targets))
        if found.verdict == "failed":
            return found
        return _whoever(subject, outputs.detach(), targets)


@torch.no_grad()
def _whoever(subject: Subject, outputs: Tensor, targets: Tensor) -> Control | None:
    """Is the loss the same with the targets of other samples, whatever the outputs are?"""
    # a net that answers all alike makes any loss the same
    outputs = outputs + torch.randn_like(outputs) * outputs.std().clamp_min(1.0)
    others = targets.roll(1, 0)
    if len(targets) < 2 or bool((others == targets).all()):
        return None
    own, exchanged = (float(subject.criterion(outputs, t)) for t in (targets, others))
    if not math.isclose(own, exchanged, rel_tol=SAME, abs_tol=1e-12):
        return None
    text = f"the loss is {own:.6g} with each sample's target and {exchanged:.6g} with another's"
    remedy = "a loss of outputs and targets, sample by sample"
    figures = {"own": own, "exchanged": exchanged}
    return Control(NAME, "failed", text, remedy, figures, "loss-does-not-fit-output")
