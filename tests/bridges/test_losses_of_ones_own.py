"""Loops whose loss is handed over as a function, and nets that are not what they seem to be."""

import pytest
import torch
from torch import nn

from famulus import Monitor

G = torch.Generator().manual_seed(1)
X = torch.randn(600, 6, generator=G)
Y = X[:, :1] + 0.5 * X[:, 1:2] * X[:, 2:3]
MASK = (X[:, :1] > 0).float()


def net(last=None):
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1), *([last] if last else []))


def log_cosh(outputs, targets):
    return torch.log(torch.cosh(outputs - targets)).mean()


def dice(outputs, targets):
    return 1 - 2 * (outputs * targets).sum() / (outputs.sum() + targets.sum())


def no_target(outputs, targets):
    return outputs.square().mean()


def findings(tmp_path, model, loss_fn, targets=Y, rate=0.01, handed_over=True):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    with Monitor(model, optimizer, str(tmp_path)) as monitor:
        for chosen in torch.randint(0, 600, (300, 32)):
            x, y = X[chosen], targets[chosen]
            outputs = model(x)
            loss = loss_fn(outputs, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            more = {"loss_fn": loss_fn} if handed_over else {}
            monitor.step(loss, x, outputs, y, **more)
    return monitor.findings()


def test_a_sound_one_is_left_alone(tmp_path):
    torch.manual_seed(0)
    assert findings(tmp_path, net(), log_cosh) == []
    assert findings(tmp_path, net(nn.Sigmoid()), dice, MASK) == []


@pytest.mark.parametrize("rate", [1e-6, 2e-4])
def test_trials_find_the_rate_with_the_loss_that_is_handed_over(rate, tmp_path):
    torch.manual_seed(0)
    first = findings(tmp_path, net(), log_cosh, rate=rate)[0]
    assert first.cause == "rate-too-low"
    assert "trial rate-too-low" in first.evidence


def test_targets_that_no_output_reaches(tmp_path):
    first = findings(tmp_path, net(nn.Sigmoid()), log_cosh, torch.tanh(2 * Y))[0]
    assert first.cause == "output-activation"


def test_a_loss_that_does_not_look_at_its_targets(tmp_path):
    assert findings(tmp_path, net(), no_target)[0].cause == "loss-does-not-fit-output"


def test_the_same_answer_for_all_is_no_fault_of_the_loss(tmp_path):
    model = net()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    causes = [finding.cause for finding in findings(tmp_path, model, log_cosh)]
    assert "loss-does-not-fit-output" not in causes
    assert causes[0] == "initialisation"


class Hidden(nn.Module):
    """Keeps its layers where nn.Module does not look."""

    def __init__(self, kind):
        super().__init__()
        self.layers = kind([nn.Linear(6, 32), nn.Linear(32, 32)])
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


@pytest.mark.parametrize(("kind", "named"), [(list, True), (nn.ModuleList, False)])
def test_layers_in_a_plain_list_are_no_part_of_the_model(kind, named, tmp_path):
    torch.manual_seed(0)
    target = 5 + torch.randn(600, 1, generator=G)
    found = findings(tmp_path, Hidden(kind), log_cosh, target, handed_over=False)
    assert ("weights-do-not-move" in [f.cause for f in found]) == named
    assert not named or "nn.ModuleList" in found[0].remedy


@pytest.mark.parametrize("trained", [False, True])
def test_a_model_that_is_frozen_as_torch_drew_it(trained, tmp_path):
    torch.manual_seed(0)
    model = net()
    if trained:  # elsewhere: a start of nobody's
        nn.init.normal_(model[0].weight, std=0.7)
    model[0].requires_grad_(False)
    noise = torch.randn(600, 1, generator=G)  # of which nothing can be learned
    causes = [f.cause for f in findings(tmp_path, model, log_cosh, noise)]
    assert ("weights-do-not-move" in causes) == (not trained)


class Weighed(nn.Module):
    """A loss with a weight of its own that nobody trains, and a count of its calls."""

    def __init__(self):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.ones(())), 0
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, outputs, targets):
        self.calls += 1
        self.mean += 0.1 * (targets.mean() - self.mean)
        return self.weight.abs() * torch.log(torch.cosh(outputs - targets)).mean()


def test_a_loss_with_a_state_of_its_own_is_called_by_its_script_alone(tmp_path):
    torch.manual_seed(0)
    loss_fn = Weighed()
    first = findings(tmp_path, net(), loss_fn, rate=1e-6)[0]
    assert first.cause == "rate-too-low"
    assert "trial rate-too-low" in first.evidence
    alone = Weighed()
    torch.manual_seed(0)
    for chosen in torch.randint(0, 600, (300, 32)):
        alone(Y[chosen], Y[chosen])
    assert (loss_fn.calls, loss_fn.mean) == (300, alone.mean)


def test_trials_leave_no_gradient_on_weights_of_a_loss(tmp_path):
    weight = nn.Parameter(torch.ones(()))

    def loss_fn(outputs, targets):
        return weight.abs() * log_cosh(outputs, targets)

    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    with Monitor(model, optimizer, str(tmp_path)) as monitor:
        for chosen in torch.randint(0, 600, (100, 32)):
            outputs = model(X[chosen])
            loss = loss_fn(outputs, Y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor.step(loss, X[chosen], outputs, Y[chosen], loss_fn=loss_fn)
        weight.grad = None
    assert "trial rate-too-low" in monitor.findings()[0].evidence
    assert weight.grad is None
