"""The moving average of the weights, and what patience and clipping count, in closed form."""

import math

import pytest
import torch
from torch import nn

from famulus.training.average import Average
from famulus.training.optim import Patience, clip_gradients, set_rate


def weight(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_an_average_comes_nearer_by_one_minus_the_decay_a_step(decay):
    average = Average(weight(0.0), decay)
    for _ in range(5):
        average.follow(weight(1.0))
    assert float(average.model.weight) == pytest.approx(1 - decay**5, rel=1e-5)


@pytest.mark.parametrize(("direction", "sign"), [("min", 1), (None, 1), ("max", -1)])
def test_patience_bears_as_many_validations_as_it_says(direction, sign):
    for patience in (1, 3):
        counter = Patience(direction, patience)
        assert not counter.exhausted(sign * 1.0)
        assert [counter.exhausted(sign * 1.0) for _ in range(patience)] == [False] * patience
        assert counter.exhausted(sign * 1.0)
        assert not counter.exhausted(sign * 0.9)  # better: it starts again


def test_progress_is_more_than_min_delta():
    counter = Patience("min", 5, min_delta=0.25)
    counter.exhausted(1.0)
    counter.exhausted(0.75)
    assert (counter.best, counter.bad) == (1.0, 1)
    counter.exhausted(0.74)
    assert (counter.best, counter.bad) == (0.74, 0)


class Clip:
    def __init__(self, norm=None, value=None):
        self.norm, self.value = norm, value


def with_gradients():
    """Gradients of 3 and 4: of norm 5 together."""
    model = nn.ModuleList([weight(0.0), weight(0.0)])
    for parameter, gradient in zip(model.parameters(), (3.0, -4.0), strict=True):
        parameter.grad = torch.full_like(parameter, gradient)
    return list(model.parameters())


def test_the_norm_is_that_of_all_gradients_together():
    parameters = with_gradients()
    assert float(clip_gradients(parameters, Clip(norm=2.5))) == pytest.approx(5.0)
    assert math.hypot(*(float(p.grad) for p in parameters)) == pytest.approx(2.5, rel=1e-4)
    untouched = with_gradients()
    clip_gradients(untouched, Clip(norm=5.1))
    assert [float(p.grad) for p in untouched] == [3.0, -4.0]


def test_each_entry_is_clipped_by_value():
    parameters = with_gradients()
    assert clip_gradients(parameters, Clip(value=3.5)) is None
    assert [float(p.grad) for p in parameters] == [3.0, -3.5]


def test_each_group_has_its_own_share_of_the_rate():
    groups = [
        {"params": [p], "lr_scale": s} for p, s in zip(with_gradients(), (1.0, 0.25), strict=True)
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    set_rate(optimizer, 0.08)
    assert [group["lr"] for group in optimizer.param_groups] == [0.08, 0.02]
