"""What a monitor hears beside the loss: waiting, steps of trials, trouble of its own; copies."""

import copy
import io
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from famulus import Monitor
from famulus.bridges import losses
from famulus.bridges import monitor as monitors
from famulus.bridges.losses import LossMeter
from famulus.config.errors import ConfigError
from tests.bridges.test_monitor import X, Y, loop, net, sgd, weights


@pytest.fixture(params=[False, True])
def on_a_device(request, monkeypatch):
    """Losses are kept as numbers, or as what one must not wait for."""
    monkeypatch.setattr(losses, "_lies_on_a_device", lambda value: request.param)


def test_the_share_of_waiting_is_that_of_the_time_between_two_logs(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(monitors, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    model = net()
    with Monitor(model, sgd(model), str(tmp_path), log_every=4, controls_s=0) as monitor:
        monitor._arm = lambda: setattr(monitor, "_is_sampled", False)  # logs every four steps alone
        monitor._arm()
        for number in range(16):
            clock.now += 2.0
            monitor.optimizers[0].step()
            # a first window without any; half of the second; more than there is of the third
            wait = (None, 1.0, 5.0, None)[number // 4]
            monitor.step(1.0, inputs=X, wait=wait)
        events = monitor.history().train
    assert [e.get("wait") for e in events] == [None, 0.5, 1.0, None]
    assert "wait" not in events[0]
    assert "wait" not in events[3]
    assert monitor.run.done()["wait"] == pytest.approx((4 * 1.0 + 4 * 5.0) / 32.0)


def test_a_loss_that_is_changed_in_place_later_counts_as_it_was(on_a_device, tmp_path):
    model, values = net(), [3.0, 1.0, 5.0, 7.0]
    with Monitor(model, sgd(model), str(tmp_path), log_every=4, controls_s=0) as monitor:
        monitor._arm = lambda: setattr(monitor, "_is_sampled", False)
        monitor._arm()
        for value in values:
            loss = torch.tensor([value], dtype=torch.float64)
            monitor.optimizers[0].step()
            monitor.step({"total": loss, "half": loss.float() / 2, "one": 1}, inputs=X)
            loss.zero_()
        (event,) = monitor.history().train
    assert event["values"] == {"total": 4.0, "half": 2.0, "one": 1.0}
    assert event["sd"] == pytest.approx(5.0**0.5)


def test_very_many_losses_between_two_logs(on_a_device):
    meter = LossMeter()
    for n in range(3000):
        meter.add({"total": torch.tensor(float(n))})
    means, figures = meter.read()
    assert means["total"] == pytest.approx(1499.5)
    assert figures["sd"] == pytest.approx(((3000**2 - 1) / 12) ** 0.5)
    assert figures["count"] == 3000


def test_trouble_is_told_in_one_place(tmp_path, monkeypatch):
    class Quiet(Monitor):
        said = ()

        def _complain(self, text):
            self.said = (*self.said, text)

    model = net()
    optimizer = sgd(model)
    with Quiet(model, optimizer, store=str(tmp_path)) as monitor:
        loop(model, optimizer, monitor, steps=10)
        monkeypatch.setattr(monitor._attempt, "emit", lambda event: 1 / 0)
        loop(model, optimizer, monitor, steps=30)
    (text,) = monitor.said
    assert "ZeroDivisionError" in text
    assert "training goes on" in text


def test_a_warning_of_trouble_stands_at_the_line_of_the_loop(tmp_path, monkeypatch):
    model = net()
    with Monitor(model, sgd(model), store=str(tmp_path)) as monitor:
        monkeypatch.setattr(monitor._attempt, "emit", lambda event: 1 / 0)
        with pytest.warns(UserWarning, match="training goes on") as caught:
            monitor.mark("x")
    assert caught[0].filename == __file__


def test_a_fault_in_a_forward_hook_does_not_end_the_training(tmp_path, monkeypatch):
    plain = net()
    loop(plain, sgd(plain), steps=10)
    model = net()
    optimizer = sgd(model)
    with Monitor(model, optimizer, store=str(tmp_path)) as monitor:
        monkeypatch.setattr("famulus.diagnosis.probes.outputs.put_dead", lambda *a: 1 / 0)
        with pytest.warns(UserWarning, match="ZeroDivisionError"):
            loop(model, optimizer, monitor, steps=10)
    assert torch.equal(weights(plain), weights(model))


def test_a_net_can_be_copied_and_saved_at_any_moment(tmp_path):
    model = net()
    optimizer = sgd(model)

    def saved():
        for thing in (model, optimizer):
            file = io.BytesIO()
            torch.save(thing, file)
            assert b"famulus" not in file.getvalue()
            copy.deepcopy(thing)

    with Monitor(model, optimizer, store=str(tmp_path)) as monitor:
        for _ in range(4):
            saved()
            out = model(X)
            saved()
            loss = F.cross_entropy(out, Y)
            loss.backward()
            saved()
            optimizer.step()
            saved()
            monitor.step(loss, inputs=X, outputs=out, targets=Y)
    saved()


@pytest.mark.parametrize("steps", [-1, -300])
def test_fewer_than_no_steps_of_trials_are_refused(tmp_path, steps):
    model = net()
    with pytest.raises(ConfigError, match="controls_steps"):
        Monitor(model, sgd(model), store=str(tmp_path), controls_steps=steps)


def names_of_trials(tmp_path, **options):
    model = net()
    optimizer = sgd(model, 1e-4)
    with Monitor(model, optimizer, store=str(tmp_path), **options) as monitor:
        loop(model, optimizer, monitor)
    return [c["name"] for c in monitor.history().controls], monitor.findings()


def test_trials_go_by_steps_where_those_are_given(tmp_path):
    names, findings = names_of_trials(tmp_path, controls_s=0, controls_steps=10_000)
    assert "trials" in names
    assert findings[0].cause == "rate-too-low"
    assert names_of_trials(tmp_path, controls_s=60, controls_steps=0)[0] == []


def test_where_the_time_ends_before_all_is_tried_nothing_is_named_and_that_is_said(tmp_path):
    """Many a machine is slow, or busy: of the same run another cause is never named."""
    causes = {}
    for seconds in (1e-4, 0.05, 0.2, 600.0):
        torch.manual_seed(0)
        _, findings = names_of_trials(tmp_path, controls_s=seconds)
        causes[seconds] = [finding.cause for finding in findings]
        for finding in findings:
            if finding.cause == "cannot-tell":
                assert finding.severity == "info"
                assert "no trial trainings: " in finding.evidence
                assert "controls_s=" in finding.remedy
    assert "cannot-tell" in causes[1e-4]
    assert "rate-too-low" not in causes[1e-4]
    assert causes[600.0][0] == "rate-too-low"
    assert "cannot-tell" not in causes[600.0]
    assert all(of in (causes[1e-4], causes[600.0]) for of in causes.values())
