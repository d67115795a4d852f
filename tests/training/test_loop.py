"""The loop on a toy task, judged against runs that were not disturbed."""

import itertools
import math

import pytest
import torch

from famulus.config.errors import ConfigError, StoreError
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import Start
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.training.precision import Precision
from tests.training.toy import Toy, ready, training

MACHINE = Machine(torch.device("cpu"), Precision("fp32"), 1)
NUMBER = itertools.count()


@pytest.fixture
def store():
    return Store.open(f"memory://loop-{next(NUMBER)}")


def train(store, settings, task=None, interrupted=lambda: None, id_="0123456789ab", **more):
    """Outcome and run of the toy cell."""
    task = task or Toy()
    cell = ready(task, settings, id_, **more)
    outcome = execute(Session(store), cell, MACHINE, Watcher(interrupted=interrupted))
    return outcome, store.run("toy", "cell", id_)


def after(steps):
    """An interruption once this many steps were made."""
    counter = itertools.count(1)
    return lambda: "SIGINT" if next(counter) >= steps else None


def weights(run, name="model.safetensors"):
    return run.open_checkpoint(run.checkpoints()[-1]).read(name)


def values(run, kind, curve=False):
    events = run.curve() if curve else run.events()
    return [(e["step"], e["values"]) for e in events if e["kind"] == kind]


@pytest.mark.parametrize("steps", [1, 7, 8, 10, 23, 39])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9}, "accumulate": 2},
        {"ema": 0.9, "optimizer": {"name": "rmsprop", "lr": 0.003}, "clip": 0.1},
        {
            "schedule": {"name": "plateau", "factor": 0.5, "patience": 0},
            "stop": {"score": "val/loss", "patience": 30},
        },
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted(store, steps, changes):
    _, whole = train(store, training(**changes))
    outcome, run = train(store, training(**changes), interrupted=after(steps), id_="b" * 12)
    if outcome.status == "interrupted":
        outcome, run = train(store, training(**changes), id_="b" * 12)
    assert outcome.status == "finished"
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert weights(run, name) == weights(whole, name)
    assert values(run, "val") == values(whole, "val")


def test_noise_that_ignores_the_step_is_seen(store, monkeypatch):
    """Negative control: with streams that begin anew on resume, the test above fails."""
    _, whole = train(store, training())
    train(store, training(), interrupted=after(9), id_="b" * 12)
    monkeypatch.setattr(
        "famulus.training.randomness.Streams.step", lambda self, step: self._set(step + 999)
    )
    _, run = train(store, training(), id_="b" * 12)
    assert weights(run) != weights(whole)


def test_a_position_that_is_lost_is_seen(store, monkeypatch):
    """Negative control: going on at the start of the data changes the weights."""
    from famulus.training import loop

    _, whole = train(store, training())
    train(store, training(), interrupted=after(9), id_="b" * 12)
    feeder = loop.Feeder
    monkeypatch.setattr(loop, "Feeder", lambda *a: feeder(*a[:4], 0, *a[5:]))
    _, run = train(store, training(), id_="b" * 12)
    assert weights(run) != weights(whole)


def test_a_resume_goes_on_from_the_newest_checkpoint_not_the_best(store):
    still = training(optimizer={"name": "sgd", "lr": 0.0})  # step 10 stays the best
    _, run = train(store, still, interrupted=after(25))
    newest = run.checkpoints()[-1]
    assert run.step_of("best") == 10 < newest
    _, run = train(store, still)
    assert [attempt["start_from"] for attempt in run.attempts()] == [None, newest]


def test_every_sample_once_an_epoch_and_another_order_in_the_next(store):
    task = Toy(samples=96)
    train(store, training(inputs=192), task)
    steps = [batch for batch in task.seen if len(batch) == 16][-12:]  # without the rehearsal
    first, second = [list(itertools.chain(*part)) for part in (steps[:6], steps[6:])]
    assert sorted(first) == sorted(second) == list(range(96))
    assert first != second


def test_validating_and_picturing_more_often_changes_no_weight(store):
    _, rare = train(store, training())
    often = training(validate_every={"steps": 1}, pictures_every={"steps": 3})
    _, run = train(store, often, id_="b" * 12)
    assert weights(run) == weights(rare)


def test_accumulated_small_batches_equal_one_large(store):
    settings = {"inputs": 320, "optimizer": {"name": "sgd", "lr": 0.1}}
    _, large = train(store, training(batch=32, **settings), Toy(dropout=0.0))
    small = training(batch=8, accumulate=4, **settings)
    _, run = train(store, small, Toy(dropout=0.0), id_="b" * 12)
    assert weights(run) != weights(large)  # other rounding, so not the same code path
    for (_, a), (_, b) in zip(values(run, "val"), values(large, "val"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_a_child_with_another_rate_and_batch_is_one_curve(store):
    _, parent = train(store, training(inputs=320))
    changed = training(batch=32, optimizer={"name": "adam", "lr": 0.001})
    origin = Start(parent, parent.step_of("last"), "resume")
    overrides = ["training.batch=32"]
    _, child = train(store, changed, id_="c" * 12, origin=origin, overrides=overrides)
    inputs = [e["inputs"] for e in child.curve() if e["kind"] == "train"]
    assert inputs == sorted(set(inputs))
    assert (inputs[0], inputs[-1]) == (64, 640)
    rates = {e["inputs"]: e["lr"] for e in child.curve() if e["kind"] == "train"}
    assert max(lr for at, lr in rates.items() if at > 320) <= 0.001 < max(rates.values())
    assert child.lineage()["parent"]["id"] == parent.id
    assert child.lineage()["overrides"] == overrides


def test_a_warm_start_takes_weights_only(store):
    _, parent = train(store, training(inputs=320))
    warm = Start(parent, parent.step_of("last"), "warm_start")
    _, child = train(store, training(inputs=16, batch=16), id_="c" * 12, warm=warm)
    _, cold = train(store, training(inputs=16, batch=16), id_="d" * 12)
    first = [values(run, "val")[0][1]["loss"] for run in (child, cold)]
    assert first[0] < first[1] / 2
    assert [e["inputs"] for e in child.curve() if e["kind"] == "train"] == [16]


def test_early_stop_counts_validations_and_survives_an_interruption(store):
    settings = training(
        inputs=6400, optimizer={"name": "sgd", "lr": 0.0}, stop={"score": "val/loss", "patience": 3}
    )
    outcome, run = train(store, settings)
    assert outcome.status == "stopped"
    assert run.done()["step"] == 50  # best at step 10, then 4 validations that are not better
    train(store, settings, interrupted=after(35), id_="b" * 12)
    outcome, resumed = train(store, settings, id_="b" * 12)
    assert (outcome.status, resumed.done()["step"]) == ("stopped", 50)


def test_a_plateau_lowers_the_rate(store):
    settings = training(
        optimizer={"name": "sgd", "lr": 0.5},
        schedule={"name": "plateau", "factor": 0.1, "patience": 0, "min_delta": 1e9},
    )
    _, run = train(store, settings)
    rates = [e["lr"] for e in run.events() if e["kind"] == "train"]
    assert rates[0] == 0.5
    assert rates[-1] == pytest.approx(0.5 * 0.1**2)  # validations 2 and 3 of 4 precede it


def test_nan_stops_and_keeps_the_last_good_checkpoint(store):
    poisoned = Toy(poison=lambda step: math.nan if step == 21 else 1.0)
    outcome, run = train(store, training(), poisoned)
    assert outcome.status == "failed"
    assert "loss-not-finite" in run.done()["reason"]
    state = torch.frombuffer(bytearray(weights(run)[-64:]), dtype=torch.float32)
    assert torch.isfinite(state).all()
    findings = [e["cause"] for e in run.events() if e["kind"] == "finding"]
    assert findings[0] == "loss-not-finite"


def test_nan_rolls_back_with_half_the_rate_and_no_doubled_points(store):
    once = itertools.count()

    def poison(step):
        return math.nan if step == 21 and next(once) == 0 else 1.0

    outcome, run = train(store, training(on_nan="rollback"), Toy(poison=poison))
    assert outcome.status == "finished"
    trained = [e for e in run.events() if e["kind"] == "train"]
    steps = [e["step"] for e in trained]
    assert steps == sorted(set(steps))
    assert all(math.isfinite(e["values"]["total"]) for e in trained)
    _, calm = train(store, training(), id_="b" * 12)
    usual = {e["step"]: e["lr"] for e in calm.events() if e["kind"] == "train"}
    assert [e["lr"] / usual[e["step"]] for e in trained] == pytest.approx(
        [1.0 if step <= 20 else 0.5 for step in steps]  # the best, at 20, is a checkpoint
    )


def test_nan_that_comes_back_every_time_ends_in_failure(store):
    poisoned = Toy(poison=lambda step: math.nan if step == 21 else 1.0)
    outcome, run = train(store, training(on_nan="rollback"), poisoned)
    assert outcome.status == "failed"
    assert "5 roll-backs did not help" in outcome.reason
    assert [a["ended"] for a in run.attempts()] == ["rollback"] * 5 + ["failed"]


def test_a_spike_is_reported_with_its_size(store):
    poisoned = Toy(poison=lambda step: 1e4 if step == 30 else 1.0)
    settings = training(spike={"factor": 10, "action": "stop"}, log_every={"steps": 1})
    outcome, _ = train(store, settings, poisoned)
    assert outcome.status == "failed"
    assert "step 31" in outcome.reason
    assert train(store, settings, id_="b" * 12)[0].status == "finished"  # healthy: silent


def test_an_unknown_score_is_named_before_the_first_step(store):
    with pytest.raises(ConfigError, match=r"training\.stop\.score.*'val/los'.*val/loss"):
        train(store, training(stop={"score": "val/los"}))
    with pytest.raises(ConfigError, match=r"adamm.*adam"):
        train(store, training(optimizer={"name": "adamm"}), id_="b" * 12)
    with pytest.raises(ConfigError, match=r"beta.*betas"):
        train(store, training(optimizer={"name": "adam", "beta": [0.9, 0.99]}), id_="c" * 12)


def test_checkpoints_kept_are_the_last_the_best_and_the_milestones(store):
    settings = training(
        optimizer={"name": "sgd", "lr": 0.0},  # the first validation, at step 10, stays the best
        keep={"last": 1, "milestones": {"steps": 16}},
    )
    _, run = train(store, settings)
    assert run.checkpoints() == [10, 16, 32, 40]
    assert run.step_of("best") == 10


def test_a_superseded_writer_stops(store):
    settings = training()
    calls = itertools.count(1)

    def take_over():
        if next(calls) == 12:
            files, run = store.files, store.run("toy", "cell", "0123456789ab")
            files.create(f"{run.path}/attempts/2.json", b'{"n": 2}')
        return None

    with pytest.raises(StoreError, match="attempt 2"):
        train(store, settings, interrupted=take_over)


def test_the_callers_random_stream_is_untouched(store):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(store, training(inputs=64))
    assert torch.equal(torch.rand(3), expected)


class SeedsTooLate(Toy):
    """Builds from numbers that no seed decides, and seeds then."""

    def build(self):
        torch.seed()
        model = super().build()
        torch.manual_seed(0)
        return model


@pytest.mark.parametrize(("task", "alike"), [(Toy, True), (SeedsTooLate, False)])
def test_the_seed_is_set_before_the_net_is_built(store, task, alike):
    """Whatever the caller's random state, equal seeds start from equal weights."""
    still = training(inputs=16, optimizer={"name": "sgd", "lr": 0.0})
    ends = []
    for n, id_ in enumerate(("a" * 12, "b" * 12)):
        torch.manual_seed(n)
        ends.append(weights(train(store, still, task(), id_=id_)[1]))
    assert (ends[0] == ends[1]) is alike
