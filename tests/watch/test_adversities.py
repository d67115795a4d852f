"""What scripts do besides training: a watch neither harms nor accuses them, nor holds on to it."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import famulus
from famulus.bridges.watch.session import Watch
from tests.watch.test_with import X, Y, _apart, net, train, weights  # noqa: F401

LISTENER = (
    *("optimizer_built", "before_update", "after_update", "before_call", "model_called"),
    *("criterion_called", "backward_called", "loader_walked", "batch_fetched"),
)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_models_and_optimizers_of_a_sweep_are_freed():
    with famulus.watch(store="runs", controls_s=0):
        alive = []
        for _ in range(4):
            model = net()
            optimizer = sgd(model)
            train(model, optimizer, 3)
            alive += [weakref.ref(model), weakref.ref(optimizer)]
        del model, optimizer
        gc.collect()
        assert [one() for one in alive[:-2]] == [None] * 6


def test_losses_that_nobody_propagates_are_freed():
    """A pass in training mode, with gradients, over data that is only looked at."""
    with famulus.watch(store="runs"):
        model = net()
        train(model, sgd(model), 5)
        alive = []
        for _ in range(12):
            answers = model(X)
            loss = F.cross_entropy(answers, Y)
            alive += [weakref.ref(answers), weakref.ref(loss)]
        del answers, loss
        gc.collect()
        held = [one() for one in alive if one() is not None]
    assert len(held) <= 8  # some are looked at where a step is measured


def test_gradients_of_many_batches_are_no_forgotten_update():
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = sgd(model)
        for step in range(4 * 64):
            (F.cross_entropy(model(X), Y) / 64).backward()
            if step % 64 == 63:
                optimizer.step()
                optimizer.zero_grad()
    assert [run.done()["step"] for run in watched.runs] == [4]
    assert "weights-do-not-move" not in [f.cause for f in watched.findings()]


def test_updates_by_hand_are_no_forgotten_update():
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = sgd(model)
        for _ in range(40):
            optimizer.zero_grad()
            F.cross_entropy(model(X), Y).backward()
            for weight in model.parameters():
                weight.data -= 0.1 * weight.grad
    assert watched.findings() == []


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_trace_is_the_same():
    def traced():
        model = net().eval()
        optimizer = sgd(model)
        train(model, optimizer, 2)
        return torch.jit.trace(model, X).code

    alone = traced()
    with famulus.watch(store="runs"):
        assert traced() == alone


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_patches_of_a_script_stay(monkeypatch):
    """TorchScript is shown torch as it is, and what is a script's own afterwards is still there."""
    with famulus.watch(store="runs"):
        theirs = F.mse_loss

        def mine(*args):
            return theirs(*args)

        monkeypatch.setattr(F, "mse_loss", mine)
        torch.jit.script(nn.Linear(2, 2))
        assert F.mse_loss is mine
        monkeypatch.setattr(F, "mse_loss", theirs)


class Guarded(nn.Module):
    """Attributes that are not there raise what no getattr expects; weights come as a list."""

    def __init__(self):
        super().__init__()
        self.inner, self.parts = net(), 3

    def __getattr__(self, name):
        modules = self.__dict__["_modules"]
        return modules[name]

    def parameters(self):
        return list(self.inner.parameters())

    def forward(self, x):
        return self.inner(x)


def test_a_model_of_unusual_ways(capsys):
    with famulus.watch(store="runs") as watched:
        model = Guarded()
        train(model, sgd(model), 5)
    assert [run.done()["step"] for run in watched.runs] == [5]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("method", LISTENER)
def test_trouble_wherever_it_is_leaves_the_script_alone(monkeypatch, capsys, method):
    def script():
        torch.manual_seed(0)
        model = net()
        optimizer = sgd(model)
        data = torch.utils.data.TensorDataset(X, Y)
        for batch, truth in torch.utils.data.DataLoader(data, 8, shuffle=True):
            loss = F.cross_entropy(model(batch), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return weights(model)

    alone = script()
    before = {name: getattr(nn.modules.module, name).copy() for name in vars(nn.modules.module)
              if name.startswith("_global") and name.endswith("hooks")}  # fmt: skip

    def fails(*_):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(Watch, method, fails)
    with famulus.watch(store="runs"):
        assert torch.equal(script(), alone)
        hooks = {name: getattr(nn.modules.module, name) for name in before}
        assert hooks == before
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "on purpose" in said[0]
