"""Targets that are other ones at every look, in a table and in tasks that draw them."""

import numpy as np
import torch
from torch.nn import functional as F

from famulus.diagnosis.controls.bench import Fit
from famulus.diagnosis.controls.targets import Looks, targets
from tests.launch.sound import Counts, Rows, Sound, cause, drawing


def test_targets_that_are_drawn_anew_for_few_samples():
    def told(moving, samples=8):
        fits = {True: Fit(1.0, 0.001, 0.0, 300), False: Fit(1.0, moving, 0.0, 300)}
        return targets(Looks(False, False, True), samples, fits.__getitem__, 0.0).cause

    assert told(0.3) == "targets-redrawn"
    assert told(0.003) == ""
    assert told(0.3, samples=5000) == ""


class OtherTargets(Rows):
    """Another label for the same picture in every epoch."""

    def finish(self, batch, seeds):
        drawn = torch.from_numpy((seeds % np.uint64(3)).astype(np.int64))
        return {**batch, "label": drawn}


class DrawnInTheLoss(Sound):
    def loss(self, model, batch, at):
        target = torch.randint(3, batch["label"].shape)
        return {"total": F.cross_entropy(model(batch["image"]), target)}


class Denoises(Sound):
    """Noise on the input, drawn in the loss: the target stays."""

    def loss(self, model, batch, at):
        noisy = batch["image"] + 0.1 * torch.randn_like(batch["image"])
        return {"total": F.cross_entropy(model(noisy), batch["label"])}


def test_a_task_that_counts_its_calls_draws_no_targets():
    assert cause(Counts(), "targets") == ""


def test_targets_drawn_anew():
    assert cause(DrawnInTheLoss(), "targets") == "targets-redrawn"
    assert cause(Sound(drawing(OtherTargets)), "targets") == "targets-redrawn"
    assert cause(Denoises(), "targets") == ""
