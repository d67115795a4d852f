"""The untrained net's loss against theory."""

import math

import pytest
import torch

from famulus.diagnosis.controls.floors import initial_loss
from famulus.tasks.base import Floor
from tests.launch.sound import Sound, found


def test_initial_loss_of_ten_classes():
    theory = math.log(10)
    assert initial_loss("loss", theory, 2.31).verdict == "ok"
    assert initial_loss("loss", theory, 9.0).cause == "wrong-initial-loss"
    assert initial_loss("loss", theory, 0.1).cause == "wrong-initial-loss"
    assert initial_loss("loss", theory, math.inf).cause == "loss-not-finite"
    assert initial_loss("loss", -0.5, 0.2).verdict == "ok"  # a likelihood: differences count
    assert initial_loss("loss", -0.5, 8.0).cause == "wrong-initial-loss"


class Overblown(Sound):
    def build(self):
        model = super().build()
        with torch.no_grad():
            model[-1].weight.mul_(50)
        return model


def test_initial_loss_off_the_theory():
    told = found(Overblown(), "floor")
    assert told["initial loss"].cause == "wrong-initial-loss"
    figures = told["initial loss"].figures
    assert figures["theory"] == pytest.approx(math.log(3))


class NoTheory(Sound):
    def floors(self, data):
        return {"chance": Floor("loss", 1.0, "chance")}


def test_without_a_theory_the_initial_loss_is_not_judged():
    assert found(NoTheory(), "floor")["initial loss"].verdict == "skipped"
