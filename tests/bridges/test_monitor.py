"""A loop of one's own under a monitor: recorded like a run, and not disturbed by it."""

import statistics
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from famulus import Monitor
from famulus.config.errors import ConfigError
from famulus.store.store import Store
from tests.launch.tiny import famulus

X = torch.linspace(-2, 2, 96).reshape(48, 2)
Y = (X.sum(1) > 0).long()


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2))


def loop(model, optimizer, monitor=None, steps=40, every=1, skip=()):
    """Gradients of `every` batches make an update."""
    for n in range(steps):
        chosen = torch.randperm(len(X))[:16]
        out = model(X[chosen])
        loss = F.cross_entropy(out, Y[chosen])
        loss.backward()
        if n % every == every - 1 and n not in skip:
            optimizer.step()
            optimizer.zero_grad()
        if monitor:
            monitor.step(loss, inputs=X[chosen], outputs=out, targets=Y[chosen])


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def watched(tmp_path, **options):
    model = net()
    optimizer = sgd(model)
    return model, optimizer, Monitor(model, optimizer, store=str(tmp_path / "runs"), **options)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_is_the_same_bit_for_bit(tmp_path):
    plain = net()
    loop(plain, sgd(plain))
    random = torch.get_rng_state()
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor)
    assert torch.equal(weights(plain), weights(model))
    assert torch.equal(random, torch.get_rng_state())
    other = net()
    loop(other, sgd(other, 0.1001))  # proof that the comparison can fail
    assert not torch.equal(weights(other), weights(model))


def test_trials_after_a_run_that_learned_nothing_change_nothing(tmp_path):
    plain = net()
    loop(plain, sgd(plain, 1e-4))
    random = torch.get_rng_state()
    model = net()
    optimizer = sgd(model, 1e-4)
    with Monitor(model, optimizer, store=str(tmp_path), controls_s=60.0) as monitor:
        loop(model, optimizer, monitor)
    tried = [c["name"] for c in monitor.history().controls]
    assert "trials" in tried  # they did run
    assert monitor.findings()[0].cause == "rate-too-low"
    assert torch.equal(weights(plain), weights(model))
    assert torch.equal(random, torch.get_rng_state())
    assert model.training
    assert all(p.grad is None for p in model.parameters())  # as the loop left them


def test_a_net_that_can_not_be_called_again_is_left_alone(tmp_path):
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(2, 2), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 30:
                raise RuntimeError("no more")
            return self.layer(x)

    model = Once()
    optimizer = sgd(model, 1e-7)
    with Monitor(model, optimizer, store=str(tmp_path)) as monitor:
        loop(model, optimizer, monitor, steps=30)
    control = monitor.history().controls[-1]
    assert (control["name"], control["verdict"]) == ("trials", "skipped")
    assert monitor.run.status() == "finished"


def test_it_leaves_a_run_that_every_command_knows(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    for lr in (0.1, 0.01):
        model, optimizer, monitor = watched(tmp_path, name="own/mine", settings={"lr": lr})
        with monitor:
            loop(model, optimizer, monitor)
            monitor.validate(loss=lr, accuracy=torch.tensor(0.5, requires_grad=True))
            monitor.mark("by hand")
    store = str(tmp_path / "runs")
    run = Store.open(store).find("last")
    assert run.status() == "finished"
    assert run.done()["step"] == 40
    assert run.done()["inputs"] == 40 * 16
    assert run.done()["scores"] == {"val/loss": 0.01, "val/accuracy": 0.5}
    assert run.lineage()["packages"]["torch"]
    for words in (["status"], ["diagnose", "last"], ["compare", "own/mine"], ["journal"]):
        said = famulus(*words, "--store", store)
        assert said.code == 0, said.err
    page = tmp_path / "runs/journal/own/mine/index.html"
    assert "own/mine" in page.read_text()
    said = famulus("rerun", "last", "--store", store)
    assert said.code == 2
    assert "own-loop" in said.err


def test_losses_are_means_and_logs_do_not_depend_on_the_device(tmp_path):
    model, optimizer, monitor = watched(tmp_path, log_every=10)
    given = []
    with monitor:
        for _ in range(25):
            out = model(X)
            loss = F.cross_entropy(out, Y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            given.append(float(loss.detach()))
            monitor.step({"total": loss, "twice": 2 * given[-1]}, inputs=X)
        seen = monitor.history().train
    assert seen[-1]["step"] == 25
    counts = [e["count"] for e in seen]
    assert sum(counts) == 25
    for event, end in zip(seen, torch.tensor(counts).cumsum(0).tolist(), strict=True):
        window = given[end - event["count"] : end]
        mean = sum(window) / len(window)
        assert event["values"]["total"] == pytest.approx(mean, rel=1e-6)
        assert event["values"]["twice"] == pytest.approx(2 * mean, rel=1e-6)
        assert event["sd"] == pytest.approx(statistics.pstdev(window), abs=1e-6)
        if len(window) > 1:
            assert event["sd"] != pytest.approx(statistics.stdev(window), rel=0.01)


def test_probes_and_forms_of_a_batch(tmp_path):
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor)
        history = monitor.history()
    assert history.facts["graph"]["loss"] == ["NllLoss", "LogSoftmax"]
    assert history.facts["graph"]["pairs"] == 1
    assert [p["step"] for p in history.probes] == [0, 1, 2, 4, 8, 16, 32]
    last = history.probes[-1]
    assert last["forms"]["loss"] == "cross_entropy"
    assert last["forms"]["targets"] == "binary"
    assert 0 <= last["forms"]["left"] < 0.5
    assert {"inputs", "outputs", "targets"} <= last["batch"].keys()
    layer = last["layers"][0]
    assert layer["moved"]
    assert layer["grad"] > 0
    assert layer["update"] > 0


def test_an_error_in_the_block_is_recorded_and_not_hidden(tmp_path):
    model, optimizer, monitor = watched(tmp_path)

    def fails():
        with monitor:
            loop(model, optimizer, monitor, steps=5)
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert monitor.run.status() == "failed"
    assert monitor.run.done()["reason"] == "ZeroDivisionError: division by zero"
    error = monitor.run.done()["error"]
    assert error["type"] == "ZeroDivisionError"
    assert error["at"].endswith(" in fails")
    assert not error["at"].startswith("/")
    assert monitor.run.attempts()[0]["ended"] == "failed"
    assert monitor.run.done()["step"] == 5


@pytest.mark.parametrize("before", ["", "x" * 440])
def test_what_an_error_says_is_recorded_without_passwords(tmp_path, before):
    """Also where the text is cut within a password: what hides it is then behind the cut."""
    model, optimizer, monitor = watched(tmp_path)
    text = f"{before} no answer of https://me:{'hunter2' * 5}@example.org/data?y=1"

    def fails():
        with monitor:
            loop(model, optimizer, monitor, steps=2)
            raise OSError(text)

    with pytest.raises(OSError, match="hunter2"):
        fails()
    reason = monitor.run.done()["reason"]
    assert reason.startswith("OSError: ")
    assert "no answer of https://" in reason
    assert "hunter2" not in reason
    assert len(reason) <= 500


def test_control_c_leaves_an_interrupted_run(tmp_path):
    model, optimizer, monitor = watched(tmp_path)

    def stopped():
        with monitor:
            loop(model, optimizer, monitor, steps=5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert monitor.run.status() == "interrupted"


def test_closing_twice_and_no_data_are_harmless(tmp_path):
    _, _, monitor = watched(tmp_path)
    monitor.start()
    monitor.close()
    monitor.close()
    assert monitor.findings() == []
    assert monitor.run.done()["step"] == 0
    with pytest.raises(ConfigError, match="started once"):
        monitor.start()


def test_accumulated_gradients_are_one_step(tmp_path):
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor, steps=40, every=4)
    assert monitor.run.done()["step"] == 10
    assert monitor.run.done()["inputs"] == 40 * 16


def test_updates_that_a_scaler_leaves_out_are_no_steps(tmp_path):
    model, optimizer, monitor = watched(tmp_path)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # overflows, then backs off
    with monitor:
        for _ in range(12):
            optimizer.zero_grad()
            out = model(X)
            loss = F.cross_entropy(out, Y)
            scaler.scale(8 * loss).backward()
            scaler.step(optimizer)
            scaler.update()
            monitor.step(loss, inputs=X, outputs=out, targets=Y)
        last = monitor.history().probes[-1]
    assert 0 < monitor.run.done()["step"] < 12
    assert monitor.run.done()["inputs"] == 12 * 48
    assert last["layers"][0]["grad"] < 10  # unscaled


def test_several_optimizers(tmp_path):
    model = net()
    both = [sgd(model[0]), torch.optim.Adam(model[3].parameters(), lr=0.01)]
    with Monitor(model, both, store=str(tmp_path)) as monitor:
        for _ in range(10):
            out = model(X)
            loss = F.cross_entropy(out, Y)
            loss.backward()
            for optimizer in both:
                optimizer.step()
                optimizer.zero_grad()
            monitor.step(loss, inputs=X, outputs=out, targets=Y)
        layers = [v for v in monitor.history().probes[-1]["layers"] if v["numbers"]]
    assert monitor.run.done()["step"] == 10
    assert all(v["moved"] and v["held"] for v in layers)
    assert [o["name"] for o in monitor.run.config()["training"]["optimizers"]] == ["sgd", "adam"]


def test_a_forgotten_update_is_named(tmp_path):
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor, steps=30, every=100)
    assert monitor.findings()[0].cause == "weights-do-not-move"


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor, steps=20)
        monitor.step(torch.tensor(float("nan")), inputs=X)
        optimizer.step()
        monitor.step(torch.tensor(float("nan")), inputs=X)
    assert "loss-not-finite" in [f.cause for f in monitor.findings()]


def test_trouble_of_the_monitor_leaves_the_training_alone(tmp_path, monkeypatch):
    model, optimizer, monitor = watched(tmp_path)
    with monitor:
        loop(model, optimizer, monitor, steps=10)
        monkeypatch.setattr(monitor._attempt, "emit", lambda event: 1 / 0)
        with pytest.warns(UserWarning, match="training goes on"):
            loop(model, optimizer, monitor, steps=30)
        with warnings.catch_warnings():  # once is enough
            warnings.simplefilter("error")
            loop(model, optimizer, monitor, steps=30)
    assert monitor.steps < 40


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": 3}, "Module"),
        ({"optimizer": "adam"}, "torch.optim"),
        ({"optimizer": []}, "empty list"),
        ({"log_every": 0}, "log_every"),
    ],
)
def test_what_it_can_not_watch_is_refused(tmp_path, change, says):
    model = net()
    given = {"model": model, "optimizer": sgd(model), "store": str(tmp_path), **change}
    with pytest.raises(ConfigError, match=says):
        Monitor(**given)


def test_a_loss_for_each_sample_is_refused(tmp_path):
    _, _, monitor = watched(tmp_path)
    with pytest.raises(ConfigError, match="one number"), monitor:
        monitor.step(torch.ones(4))


def test_a_step_outside_of_with_is_refused(tmp_path):
    _, _, monitor = watched(tmp_path)
    with pytest.raises(ConfigError, match="start"):
        monitor.step(1.0)


def test_the_package_starts_without_torch():
    code = "import famulus, sys; assert 'torch' not in sys.modules; famulus.Monitor; import torch"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        __import__("famulus").Monitors  # noqa: B018


def test_the_doctor_names_only_scores_that_there_are(tmp_path):
    """Without a floor of a score it goes by the last batches: that is no `val/...`."""
    torch.manual_seed(0)
    net, x = torch.nn.Linear(2, 1), torch.randn(16, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer, store=str(tmp_path / "runs"), name="e", controls_s=0) as monitor:
        for step in range(200):
            outputs, targets = net(x), torch.randn(16, 1)  # nothing to learn
            loss = (outputs - targets).square().mean() * 0
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor.step(loss, x, outputs, targets)
            if step % 40 == 39:
                monitor.validate(loss=loss.item())
    found = {finding.cause: finding.evidence for finding in monitor.findings()}
    assert "relative error in the last batches" in found["predicts-the-mean"]
    assert not any("val/error" in text for text in found.values())
