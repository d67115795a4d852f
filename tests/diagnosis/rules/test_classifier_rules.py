"""Faults of small classifiers, each watched while it trains, beside a twin without it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus import Monitor

G = torch.Generator().manual_seed(5)
X = torch.randn(384, 6, generator=G)
Y = (X @ torch.randn(6, 3, generator=G) + X[:, :3].abs()).argmax(1)
B = (Y == 0).float()[:, None]
AMOUNT = 3 * X[:, :1] - X[:, 1:2]


def mlp(*last, out=3, between=nn.ReLU):
    torch.manual_seed(1)
    hidden = [between()] if between else []
    return nn.Sequential(nn.Linear(6, 24), *hidden, nn.Linear(24, out), *last)


def causes(tmp_path, net, loss, y, optimizer=None, x=X, epochs=14, batch=16, controls_s=0.0):
    torch.manual_seed(2)
    optimizer = optimizer or torch.optim.Adam(net.parameters(), lr=0.02)
    given = {"store": str(tmp_path), "controls_s": controls_s}
    with Monitor(net, optimizer, **given) as monitor:
        for _ in range(epochs):
            for chosen in torch.randperm(len(x)).split(batch):
                optimizer.zero_grad()
                out = net(x[chosen])
                value = loss(out, y[chosen])
                value.backward()
                optimizer.step()
                monitor.step(value, inputs=x[chosen], outputs=out, targets=y[chosen])
    return [f.cause for f in monitor.findings() if f.severity != "info"]


def one_hot(out, y):
    return F.mse_loss(out, F.one_hot(y, 3).float())


FAULTS = {
    "softmax twice": ("activation-twice", lambda: mlp(nn.Softmax(1)), F.cross_entropy, Y),
    "sigmoid twice": (
        "activation-twice", lambda: mlp(nn.Sigmoid(), out=1), F.binary_cross_entropy_with_logits, B,
    ),
    "relu last": ("output-activation", lambda: mlp(nn.ReLU()), F.cross_entropy, Y),
    "tanh for amounts": ("output-activation", lambda: mlp(nn.Tanh(), out=1), F.mse_loss, AMOUNT),
    "no softmax at all": ("loss-does-not-fit-output", mlp, F.nll_loss, Y),
    "class ids as amounts": (
        "loss-does-not-fit-output", lambda: mlp(out=1), F.mse_loss, Y.float()[:, None],
    ),
    "ids for yes and no": (
        "loss-does-not-fit-output",
        lambda: mlp(out=1), F.binary_cross_entropy_with_logits, Y.float()[:, None],
    ),
    "softmax of one": (
        "loss-does-not-fit-output", lambda: mlp(out=1), F.cross_entropy, torch.zeros_like(Y),
    ),
}  # fmt: skip
SOUND = {
    "classes": (mlp, F.cross_entropy, Y),
    "log_softmax": (lambda: mlp(nn.LogSoftmax(1)), F.nll_loss, Y),
    "yes and no": (lambda: mlp(out=1), F.binary_cross_entropy_with_logits, B),
    "probabilities": (lambda: mlp(nn.Sigmoid(), out=1), F.binary_cross_entropy, B),
    "amounts": (lambda: mlp(out=1), F.mse_loss, AMOUNT),
    "amounts above 0": (lambda: mlp(nn.Softplus(), out=1), F.mse_loss, AMOUNT.abs()),
    "shares": (lambda: mlp(nn.Softmax(1)), one_hot, Y),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_by_construction_is_named_first(name, tmp_path):
    cause, net, loss, y = FAULTS[name]
    assert causes(tmp_path, net(), loss, y)[0] == cause


@pytest.mark.parametrize("name", SOUND)
def test_sound_twins_are_not_accused(name, tmp_path):
    net, loss, y = SOUND[name]
    assert causes(tmp_path, net(), loss, y, controls_s=300.0) == []


def test_layers_without_activation(tmp_path):
    bent = (X.square().sum(1) > X.square().sum(1).median()).float()[:, None]
    loss = F.binary_cross_entropy_with_logits
    found = causes(tmp_path, mlp(out=1, between=None), loss, bent)
    assert found[0] == "no-hidden-activation"
    assert causes(tmp_path, mlp(out=1), loss, bent, epochs=30) == []


TRIED = {
    "rate-too-high": {"optimizer": lambda net: torch.optim.Adam(net.parameters(), lr=3.0)},
    "rate-too-low": {"optimizer": lambda net: torch.optim.Adam(net.parameters(), lr=1e-6)},
    "too-few-epochs": {"epochs": 1, "optimizer": lambda n: torch.optim.Adam(n.parameters(), 0.003)},
    "input-out-of-range": {"x": X * torch.tensor([3000.0, 1, 1, 1, 1, 1]) + 1000},
    "initialisation": {"start": 0.3},
}


@pytest.mark.parametrize("cause", TRIED)
def test_what_a_short_trial_mends_is_named(cause, tmp_path):
    change = dict(TRIED[cause])
    net = mlp()
    if start := change.pop("start", None):
        for parameter in net.parameters():
            nn.init.constant_(parameter, start)
    if make := change.pop("optimizer", None):
        change["optimizer"] = make(net)
    found = causes(tmp_path, net, F.cross_entropy, Y, controls_s=300.0, **change)
    assert found[0] == cause


def test_noise_that_nobody_can_learn_is_no_fault_of_the_training(tmp_path):
    noise = torch.randint(0, 3, (384,), generator=torch.Generator().manual_seed(9))
    found = causes(tmp_path, mlp(), F.cross_entropy, noise, epochs=2, controls_s=300.0)
    assert found == ["predicts-the-mean"]
