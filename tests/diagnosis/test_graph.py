"""What nets and losses are made of, read off real graphs."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus.diagnosis.graph import read_graph

X = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers)


def graph(net, loss):
    outputs = net(X)
    value = loss(outputs)
    if value.requires_grad:
        value.backward()
    return read_graph(value, outputs)


def ce(out):
    return F.cross_entropy(out, Y)


NETS = {  # net, pairs of layers, those with nothing between
    "relu between": (flat(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)), 1, 0),
    "nothing between": (flat(nn.Linear(64, 8), nn.Linear(8, 3)), 1, 1),
    "dropout and norm are nothing": (
        flat(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)), 1, 1,
    ),
    "pooled maxima bend": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)), 1, 0,
    ),
    "one of two": (flat(nn.Linear(64, 8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3)), 2, 1),
    "in place": (flat(nn.Linear(64, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)), 1, 0),
    "a single layer": (flat(nn.Linear(64, 3)), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_what_stands_between_layers(name):
    net, pairs, direct = NETS[name]
    found = graph(net, ce)
    assert (found["pairs"], found["direct"]) == (pairs, direct)
    assert found["loss"] == ["NllLoss", "LogSoftmax"]
    assert found["output"] == "Addmm"


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = x.flatten(1)
        return self.c(self.a(x) * self.b(x))


def test_a_product_of_two_layers_is_not_linear():
    found = graph(Gated(), ce)
    assert (found["pairs"], found["direct"]) == (1, 0)


def test_the_last_operation_is_seen_through_shapes():
    net = flat(nn.Linear(64, 1), nn.Sigmoid())
    out = net(X)[:, 0].reshape(6)
    found = read_graph(F.binary_cross_entropy_with_logits(out, (Y == 0).float()), out)
    assert found["output"] == "Sigmoid"
    assert found["loss"] == ["BinaryCrossEntropyWithLogits"]


def test_what_is_detached_is_not_known():
    net = flat(nn.Linear(64, 3))
    out = net(X)
    assert read_graph(ce(out), out.detach()) == {"chance": pytest.approx(math.log(3))}
    assert "loss" not in read_graph(ce(out).item(), out)
    assert "loss" not in read_graph(ce(net(X)), out)  # another pass than these outputs'


CROSSED = {  # of outputs (6, 2), a loss of a column and targets (6,), and what crosses
    "a difference of a column": (lambda o, t: (o[:, :1] - t).square().mean(), [[6, 1], [6, 6]]),
    "a quotient": (lambda o, t: (o[:, 1:] / (1 + t)).abs().sum(), [[6, 1], [6, 6]]),
    "pairs as they should be": (lambda o, t: (o[:, 0] - t).square().mean(), None),
    "a column of targets": (lambda o, t: (o[:, :1] - t[:, None]).square().mean(), None),
    "each with each, of outputs": (lambda o, t: (o[:, :1] - o[:, 0]).abs().mean(), None),
    "a column beside a row of another length": (
        lambda o, t: (o[:, :1] * torch.arange(4.0)).mean(),
        None,
    ),
}


@pytest.mark.parametrize("name", CROSSED)
def test_a_column_that_meets_a_row_of_targets(name):
    loss, crossed = CROSSED[name]
    out = flat(nn.Linear(64, 2))(X)
    assert read_graph(loss(out, Y.float()), out).get("crossed") == crossed
