"""A net that is another one in evaluation mode, told from one that is the same in both."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.controls.modes import modes
from famulus.diagnosis.controls.trial import Subject


def trained(middle, steps=200, size=32):
    """Two classes of inputs that lie far from 0, learned through `middle`."""
    torch.manual_seed(0)
    x = 3 + 2 * torch.randn(16 * size, 4)
    y = (x.sum(1) > 12).long()
    model = nn.Sequential(nn.Linear(4, 16), middle, nn.ReLU(), nn.Linear(16, 2))
    start = copy.deepcopy(model.state_dict())
    batches = list(zip(x.split(size), y.split(size), strict=True))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for n in range(steps):
        inputs, targets = batches[n % len(batches)]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    kind, options = torch.optim.Adam, {"lr": 1e-2}
    return Subject(model, start, batches, "cross_entropy", 1.0, kind, options, steps)


def losses(subject, training):
    """By hand, on a copy."""
    model = copy.deepcopy(subject.model).train(training)
    with torch.no_grad():
        return sum(float(F.cross_entropy(model(x), y)) for x, y in subject.batches[-8:]) / 8


def test_statistics_that_lag_behind_are_named_with_both_losses():
    subject = trained(nn.BatchNorm1d(16, momentum=1e-4))
    control = modes(subject)
    assert (control.verdict, control.cause) == ("failed", "train-eval-gap")
    assert control.figures["training"] == pytest.approx(losses(subject, True), rel=1e-5)
    assert control.figures["evaluation"] == pytest.approx(losses(subject, False), rel=1e-5)
    assert control.figures["evaluation"] > 3 * control.figures["training"]
    assert control.remedy.startswith("BatchNorm1d(16)")
    assert "0.0001" in control.remedy


@pytest.mark.parametrize(
    "middle", [nn.BatchNorm1d(16), nn.GroupNorm(4, 16), nn.Dropout(0.3), nn.Identity()]
)
def test_a_sound_net_is_the_same_one(middle):
    assert modes(trained(middle)) is None


def test_nothing_is_changed_by_the_look():
    subject = trained(nn.BatchNorm1d(16, momentum=1e-4), steps=20)
    before = copy.deepcopy(subject.model.state_dict())
    flags = [module.training for module in subject.model.modules()]
    random = torch.get_rng_state()
    modes(subject)
    assert all(torch.equal(v, before[k]) for k, v in subject.model.state_dict().items())
    assert [module.training for module in subject.model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random)
