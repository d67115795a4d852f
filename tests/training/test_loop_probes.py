"""Probes in the loop: the same training with and without, and the same events after a kill."""

import itertools

import pytest
import torch

from famulus.config.identity import run_id
from famulus.diagnosis.history import from_events
from famulus.diagnosis.probes.probe import due
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.training.precision import Precision
from famulus.training.progress import Calendar
from tests.training.toy import Toy, ready, training

MACHINE = Machine(torch.device("cpu"), Precision("fp32"), 1)
NUMBER = itertools.count()


@pytest.fixture
def store():
    return Store.open(f"memory://loop-probes-{next(NUMBER)}")


def train(store, id_, task=None, interrupted=lambda: None, **changes):
    cell = ready(task or Toy(), training(**changes), id_)
    execute(Session(store), cell, MACHINE, Watcher(interrupted=interrupted))
    return store.run("toy", "cell", id_)


def files(run):
    newest = run.open_checkpoint(run.checkpoints()[-1])
    return [newest.read(name) for name in ("model.safetensors", "optimizer.safetensors")]


def probes(run):
    """All that follows from the computation: not the memory."""
    found = from_events({}, run.events()).probes
    return [{k: v for k, v in event.items() if k != "memory_mb"} for event in found]


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "clip": 0.1, "ema": 0.9}])
def test_with_and_without_the_weights_are_the_same(store, changes):
    unwatched = train(store, "a" * 12, probes=False, **changes)
    assert not probes(unwatched)
    for id_, setting in (("b" * 12, True), ("c" * 12, {"steps": 1})):
        assert files(train(store, id_, probes=setting, **changes)) == files(unwatched)


def test_events_are_at_their_steps_with_what_a_rule_needs(store):
    found = probes(train(store, "a" * 12))
    assert [event["step"] for event in found] == [s for s in range(40) if due(s)]
    assert [event["inputs"] for event in found] == [event["step"] * 16 for event in found]
    assert [layer["type"] for layer in found[0]["layers"]] == ["Linear", "Tanh", "Linear"]
    assert set(found[0]["batch"]) == {"x", "y"}
    assert all(layer["moved"] for layer in found[0]["layers"] if layer["numbers"])


@pytest.mark.parametrize("steps", [1, 7, 8, 17, 33])
def test_a_resumed_run_has_the_events_of_one_that_was_not(store, steps):
    whole = train(store, "a" * 12)
    counter = itertools.count(1)
    stop = lambda: "SIGINT" if next(counter) >= steps else None  # noqa: E731
    train(store, "b" * 12, interrupted=stop)
    resumed = train(store, "b" * 12)
    assert probes(resumed) == probes(whole)
    assert files(resumed) == files(whole)


@pytest.mark.parametrize("steps", [5, 9, 34])
def test_a_run_that_died_has_no_event_twice(store, steps):
    whole = train(store, "a" * 12, probes={"steps": 3})
    counter = itertools.count(1)

    def dies():
        if next(counter) >= steps:
            raise RuntimeError("no power")

    with pytest.raises(RuntimeError, match="no power"):
        train(store, "b" * 12, interrupted=dies, probes={"steps": 3})
    resumed = train(store, "b" * 12, probes={"steps": 3})
    assert probes(resumed) == probes(whole)


def test_an_interval_in_any_unit():
    def every(setting):
        return Calendar(training(probes=setting, accumulate=2), 96).probe_every

    assert [every(s) for s in (True, False)] == [None, 0]
    settings = {"steps": 10}, {"inputs": 640}, {"epochs": 2}, {"inputs": 3}
    assert [every(s) for s in settings] == [10, 20, 6, 1]


def test_the_setting_renames_no_run():
    ids = {
        run_id({"task": "toy", "training": training(**more).model_dump(mode="json")}, None, "data")
        for more in ({}, {"probes": False}, {"probes": {"steps": 5}})
    }
    assert len(ids) == 1
