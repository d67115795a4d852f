"""A monitor on nets that are degenerate: it records to the end, whatever there is to see."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus import Monitor
from famulus.diagnosis.rules import dead_units

X = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long()


def mlp(*more):
    return nn.Sequential(nn.Linear(4, 8), *more, nn.ReLU(), nn.Linear(8, 2))


def filled(value, net=None):
    net = net or mlp()
    for p in net.parameters():
        nn.init.constant_(p, value)
    return net


def frozen():
    net = mlp()
    for p in net[:-1].parameters():
        p.requires_grad_(False)
    return net


class OneNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x[:, :2] * self.w


class EmptyLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.answer, self.none = nn.Linear(4, 2), nn.Parameter(torch.zeros(0, 3))

    def forward(self, x):
        return self.answer(x) + self.none.sum()


NETS = {
    "zero": lambda: filled(0.0),
    "zero, deep": lambda: filled(0.0, nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)], mlp())),
    "zero, normalised": lambda: filled(0.0, mlp(nn.BatchNorm1d(8))),
    "no number": lambda: filled(float("nan")),
    "infinite": lambda: filled(float("inf")),
    "huge": lambda: filled(1e30),
    "frozen in part": frozen,
    "one number": OneNumber,
    "an empty layer": EmptyLayer,
}
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "at zero": lambda p: torch.optim.SGD(p, lr=0.0),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "several": lambda p: [torch.optim.SGD(p, lr=0.1), torch.optim.Adam(p, lr=0.1)],
}


def trained(net, optimizer, steps, store, **options):
    each = optimizer if isinstance(optimizer, list) else [optimizer]
    with Monitor(net, optimizer, store=str(store), log_every=2, **options) as monitor:
        for _ in range(steps):
            for one in each:
                one.zero_grad()
            out = net(X)
            loss = F.cross_entropy(out, Y)
            loss.backward()
            for one in each:
                one.step()
            monitor.step(loss, inputs=X, outputs=out, targets=Y)
            monitor.validate(loss=loss.detach())
    return monitor


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_goes_on_to_the_end(net, optimizer, tmp_path):
    """A warning, which is what trouble of its own is, would be an error here."""
    torch.manual_seed(0)
    for steps in (0, 1, 2, 20):
        model = NETS[net]()
        monitor = trained(model, OPTIMIZERS[optimizer](list(model.parameters())), steps,
                          tmp_path, controls_steps=700 if steps == 20 else 0)  # fmt: skip
        assert monitor.run.ending()["status"] == "finished"
        assert monitor.run.ending()["step"] == steps
        assert not any("Error" in c["text"] for c in monitor.history().controls)


def test_a_rule_that_breaks_is_told_once_and_the_findings_stay(tmp_path, monkeypatch):
    def broken(history):
        raise ZeroDivisionError("division by zero")

    net = filled(0.0)
    monkeypatch.setattr(dead_units, "rule", broken)
    with pytest.warns(UserWarning, match="rule dead-units was skipped: ZeroDivisionError") as told:
        monitor = trained(net, torch.optim.SGD(net.parameters(), lr=0.0), 40, tmp_path)
    assert len(told) == 1
    assert monitor.findings()
    marks = [m["text"] for m in monitor.history().marks if m["what"] == "diagnosis"]
    assert marks == ["rule dead-units was skipped: ZeroDivisionError: division by zero"]
    assert monitor.run.ending()["status"] == "finished"
