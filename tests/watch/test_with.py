"""`with famulus.watch():` in one's own code: what it sees, and that nothing of it stays behind."""

import builtins
import copy
import gc
import importlib
import io
import signal
import subprocess
import sys
import threading
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import famulus
from famulus.config.errors import ConfigError
from famulus.store.attempt import Attempt
from famulus.store.run import Run
from famulus.store.store import Store
from tests.launch.tiny import famulus as command
from tests.watch.shell import events

X = torch.linspace(-2, 2, 96).reshape(48, 2)
Y = (X.sum(1) > 0).long()
OPTIMIZER = importlib.import_module("torch.optim.optimizer")  # torch.optim does not name it


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))


def train(model, optimizer, steps=20):
    losses = []
    for _ in range(steps):
        chosen = torch.randperm(len(X))[:16]
        loss = F.cross_entropy(model(X[chosen]), Y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def trained(steps=20, lr=0.1):
    """A training from its beginning: its model."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    train(model, optimizer, steps)
    return model


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


PLACES = (
    torch, torch.autograd, torch.Tensor, F, nn.Module, nn.Sequential, nn.Linear,
    nn.modules.loss._Loss, nn.CrossEntropyLoss, nn.modules.module, torch.optim.Optimizer,
    OPTIMIZER, torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS,
    torch.optim.lr_scheduler.LRScheduler, torch.utils.data.DataLoader, torch.utils.data.dataloader,
    torch.utils.data.dataloader._BaseDataLoaderIter, torch.amp.GradScaler, torch.autocast,
    torch.nn.utils, builtins, threading.Thread,
)  # fmt: skip


def everything():
    """Every object that hangs on torch's modules and classes, and hooks of the interpreter."""
    now = {(str(place), name): one for place in PLACES for name, one in vars(place).items()}
    shared = [name for name in vars(nn.modules.module) if name.startswith("_global_")]
    hooks = [*(vars(nn.modules.module)[name] for name in shared)]
    hooks += [OPTIMIZER._global_optimizer_pre_hooks]
    hooks += [OPTIMIZER._global_optimizer_post_hooks]
    entries = [list(one) for one in hooks if isinstance(one, dict)]
    interpreter = [sys.excepthook, threading.excepthook, sys.stdout, sys.stderr, sys.gettrace()]
    interpreter += [sys.getprofile(), signal.getsignal(signal.SIGINT), list(sys.meta_path)]
    interpreter += [sys.modules["__main__"], list(sys.argv), list(sys.path), print, input]
    return now, entries, interpreter


def unchanged(before):
    """Names of what is another object now."""
    now = everything()
    assert now[1:] == before[1:]
    assert now[0].keys() == before[0].keys()
    return [name for name, one in now[0].items() if one is not before[0][name]]


@pytest.fixture
def before():
    """Taken after a first training: torch itself fills in a few things at the first use."""
    for _ in DataLoader(TensorDataset(X, Y), batch_size=16):
        trained(steps=2)
    with famulus.watch(store="first"):
        trained(steps=2)
    return everything()


def test_all_of_torch_is_as_before(before):
    forward, cross_entropy = torch.Tensor.backward, F.cross_entropy
    call, make = nn.Module.__call__, torch.optim.Optimizer.__init__
    with famulus.watch(store="runs"):
        trained()
    assert unchanged(before) == []
    assert torch.Tensor.backward is forward
    assert F.cross_entropy is cross_entropy
    assert nn.Module.__call__ is call
    assert torch.optim.Optimizer.__init__ is make


def test_all_of_torch_is_as_before_after_an_error_too(before):
    error = ZeroDivisionError("on purpose")

    def fails():
        with famulus.watch(store="runs"):
            trained()
            raise error

    with pytest.raises(ZeroDivisionError) as caught:
        fails()
    assert caught.value is error
    assert unchanged(before) == []
    (run,) = Store.open("runs").runs()
    assert (run.status(), run.done()["step"]) == ("failed", 20)
    assert run.done()["reason"] == "ZeroDivisionError: on purpose"


def test_the_comparison_can_fail(before, monkeypatch):
    true = F.mse_loss
    monkeypatch.setattr(F, "mse_loss", lambda *a, **k: true(*a, **k))
    assert unchanged(before) == [(str(F), "mse_loss")]


def test_one_within_another_is_refused(before):
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, 5)
        with pytest.raises(ConfigError, match="watch"), famulus.watch(store="other"):
            pass
        train(model, optimizer, 5)  # the first one goes on
    assert [run.done()["step"] for run in watched.runs] == [10]
    with famulus.watch(store="runs"):  # and a later one is welcome
        trained()
    assert unchanged(before) == []
    assert len(Store.open("runs").runs()) == 2


def test_training_is_the_same_bit_for_bit():
    plain = trained()
    random = torch.get_rng_state()
    with famulus.watch(store="runs"):
        watched = trained()
        assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(weights(plain), weights(watched))
    assert torch.equal(random, torch.get_rng_state())
    assert not torch.equal(weights(trained(lr=0.1001)), weights(watched))  # it can fail


def test_it_gives_runs_and_findings():
    with famulus.watch(store="runs", name="own/mine") as watched:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = train(model, optimizer)
    (run,) = watched.runs
    assert isinstance(run, Run)
    assert run.experiment == "own/mine"
    assert run == Store.open("runs").find("last")
    assert (run.status(), run.done()["step"], run.done()["inputs"]) == ("finished", 20, 320)
    first = events(run, "train")[0]
    window = losses[: first["step"]]
    assert first["values"]["total"] == pytest.approx(sum(window) / len(window), rel=1e-5)
    assert isinstance(watched.findings(), list)
    for words in (("status",), ("diagnose", "last"), ("compare", "own/mine"), ("journal",)):
        said = command(*words, "--store", "runs")
        assert said.code == 0, said.err


def test_a_forgotten_update_is_named():
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(60):
            loss = F.cross_entropy(model(X), Y)
            optimizer.zero_grad()
            loss.backward()
    assert watched.findings()[0].cause == "weights-do-not-move"


def test_without_arguments_it_stores_in_runs():
    with famulus.watch() as watched:
        trained()
    (run,) = watched.runs
    assert Store.open("runs", create=False).runs() == [run]


def test_optimizer_and_model_may_be_older_than_the_block():
    """As in a notebook, where they were made cells before."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, 3)
    with famulus.watch(store="runs") as watched:
        losses = train(model, optimizer, 12)
    train(model, optimizer, 3)  # nobody looks any more
    (run,) = watched.runs
    assert run.done()["step"] == 12
    assert events(run, "train")[0]["values"]["total"] == pytest.approx(losses[0], rel=1e-5)


def test_two_trainings_are_two_runs():
    with famulus.watch(store="runs") as watched:
        trained(steps=7)
        trained(steps=9)
    assert [run.done()["step"] for run in watched.runs] == [7, 9]


def test_a_block_that_trains_nothing():
    with famulus.watch(store="runs") as watched:
        net()(X)
    assert watched.runs == []
    assert watched.findings() == []


def test_control_c_leaves_an_interrupted_run():
    def stopped():
        with famulus.watch(store="runs"):
            trained()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [run.status() for run in Store.open("runs").runs()] == ["interrupted"]


def bytes_of(*things):
    file = io.BytesIO()
    torch.save(things, file)
    return file.getvalue()


def test_copies_and_files_hold_no_trace():
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        train(model, optimizer, 3)
        within = bytes_of(model, optimizer, model.state_dict(), optimizer.state_dict())
        other, its_own = copy.deepcopy(model), copy.deepcopy(optimizer)
        train(model, optimizer, 3)
    after = bytes_of(model, optimizer)
    for stored in (within, after, bytes_of(other, its_own)):
        assert b"famulus" not in stored
    for module in (*model.modules(), *other.modules()):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert "forward" not in vars(module)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert "step" not in vars(optimizer)
    assert [run.done()["step"] for run in watched.runs] == [6]


def test_memory_of_a_step_is_not_held():
    """A loss that is kept with its graph would keep every activation of the net."""
    with famulus.watch(store="runs"):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        train(model, optimizer, 20)
        out = model(X)
        loss = F.cross_entropy(out, Y)
        loss.backward()
        optimizer.step()
        alive = [weakref.ref(out), weakref.ref(loss)]
        del out, loss
        train(model, optimizer, 5)
        gc.collect()
        assert [one() for one in alive] == [None, None]


def test_trouble_of_its_own_is_one_line(monkeypatch, capsys):
    plain = trained(40)
    with famulus.watch(store="runs") as watched:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        train(model, optimizer, 10)
        monkeypatch.setattr(Attempt, "emit", lambda *_: 1 / 0)
        train(model, optimizer, 30)
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("famulus: ")
    assert "ZeroDivisionError" in lines[0]
    assert "Traceback" not in said.out
    assert torch.equal(weights(plain), weights(model))
    assert watched.findings() is not None


def test_the_package_starts_without_torch():
    code = (
        "import famulus, sys; assert 'torch' not in sys.modules;"
        " assert callable(famulus.watch); assert 'watch' in famulus.__all__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        ({"controls_s": 1e-4}, "no trial trainings: 2 of up to "),
        ({"controls_steps": 10}, "no trial trainings: 10 steps are less than 30 for each of"),
        ({"controls_s": 0.0}, None),
        ({"controls_steps": 0}, None),
    ],
)
def test_too_little_for_trials_is_told(budget, line):
    """Of a net that has learned nothing; who asks for no trials is not told that there are none."""
    with famulus.watch(store="runs", name="short", **budget) as watched:
        trained(lr=1e-6)
    lines = [text for text in watched.lines() if text.startswith("no trial")]
    assert [text[: len(line)] for text in lines] == [line] if line else not lines
    if line and "controls_s" in budget:
        assert "--controls-steps" in lines[0]


class Words(nn.Module):
    """Of ids, and of a number that only validation gives."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids, scale=None):
        return self.head(self.embedding(ids).mean(1)) * (1.0 if scale is None else scale)


@pytest.mark.parametrize("ids", [False, True])
def test_what_validation_puts_in_is_described_where_it_is_numbers(ids):
    inputs = torch.arange(48 * 3).reshape(48, 3) % 9 if ids else X
    with famulus.watch(store="runs", name="inputs", controls_steps=0) as watched:
        model = Words() if ids else net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), Y).backward()
            optimizer.step()
        with torch.no_grad():
            model.eval()
            F.cross_entropy(model(inputs, torch.tensor(128.0)) if ids else model(inputs), Y)
    facts = [
        e["validation_inputs"] for e in events(watched.runs[0], "facts") if "validation_inputs" in e
    ]
    if ids:
        assert facts == []
    else:
        assert facts[0]["mean"] == pytest.approx(float(X.double().mean()), abs=1e-6)
        assert facts[0]["std"] == pytest.approx(float(X.double().std(correction=0)), rel=1e-5)
