"""Validation in the wrong mode, with drawn scores, or with a trace left behind."""

import torch
from torch import nn

from tests.launch.sound import Sound, cause


class Dropped(Sound):
    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.Dropout(0.5), nn.Linear(24, 3))


class InTrainMode(Dropped):
    def scores(self, model, batches):
        model.train()
        return super().scores(model, batches)


class DrawsScores(Sound):
    def scores(self, model, batches):
        return {"loss": super().scores(model, batches)["loss"] * float(1 + 9 * torch.rand(()))}


class Trains(Sound):
    def scores(self, model, batches):
        with torch.no_grad():
            model[-1].bias.add_(0.1)
        return super().scores(model, batches)


def test_validation():
    assert cause(Dropped(), "validation") == ""
    for kind in (InTrainMode, DrawsScores, Trains):
        assert cause(kind(), "validation") == "train-eval-gap"
