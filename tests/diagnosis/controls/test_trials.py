"""How long trial trainings may take together, and what is not looked for."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls import trials as module
from famulus.diagnosis.controls.trial import Subject
from famulus.diagnosis.controls.trials import trials

UPDATES = []


class Counted(torch.optim.SGD):
    def step(self, closure=None):
        UPDATES.append(1)
        return super().step(closure)


class CountedAdam(torch.optim.Adam):
    def step(self, closure=None):
        UPDATES.append(1)
        return super().step(closure)


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    UPDATES.clear()
    monkeypatch.setattr(torch.optim, "Adam", CountedAdam)


def subject(optimizer=Counted, lr=1e-4, scale=1.0, act=nn.ReLU, size=16, steps=20, **more):
    """A run of few steps on two classes that a line divides."""
    torch.manual_seed(0)
    x = torch.randn(16 * size, 2)
    y = (x.sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(2, 8), act(), nn.Linear(8, 2))
    start = copy.deepcopy(model.state_dict())
    batches = list(zip((scale * x).split(size), y.split(size), strict=True))
    trained = optimizer(model.parameters(), lr=lr)
    for n in range(steps):
        trained.zero_grad()
        F.cross_entropy(model(batches[n % 16][0]), batches[n % 16][1]).backward()
        trained.step()
    UPDATES.clear()
    return Subject(
        model, start, batches, "cross_entropy", 1.0, optimizer, {"lr": lr}, steps, **more
    )


def causes(controls):
    return {c.cause for c in controls if c.cause}


@pytest.mark.parametrize("most", [0, 500, 1700, 5000])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": CountedAdam},
        {"scale": 1e4, "act": nn.Sigmoid},
        {"lr": 1e-7, "act": nn.Tanh, "scale": 1e4, "size": 128},
    ],
)
def test_they_take_no_more_steps_than_they_may(most, change):
    controls = trials(subject(**change), budget_s=0.0, steps=most)
    assert len(UPDATES) <= most
    if most < 500:
        assert not UPDATES
        assert controls[0].verdict == "skipped"
    if most == 5000:
        assert len(UPDATES) > 400
        assert controls[-1].verdict == "ok"


def test_what_helps_is_the_same_however_slow_the_clock(monkeypatch):
    """With steps no clock is asked; with seconds a slow one leaves too few steps."""
    one = trials(subject(CountedAdam), budget_s=0.0, steps=4000)
    ticks = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(ticks))
    two = trials(subject(CountedAdam), budget_s=0.0, steps=4000)
    assert [c.json() for c in one] == [c.json() for c in two]
    assert causes(one) == {"rate-too-low"}
    assert trials(subject(), budget_s=10.0)[0].verdict == "skipped"


@pytest.mark.parametrize("early", [False, True])
def test_of_a_run_that_was_stopped_early_its_length_is_no_fault(early):
    controls = trials(subject(lr=0.1, ended_early=early), budget_s=0.0, steps=10_000)
    assert ("too-few-epochs" in causes(controls)) != early
