"""Growth inside a run: marks, counts, and a resume in the middle of it that changes nothing."""

import itertools

import pytest
import torch
from pydantic import ValidationError

from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import Ready
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.tasks.tiles.stacked_net import StackedAutoencoder
from famulus.tasks.tiles.tiles import Tiles, TilesConfig
from famulus.training.precision import Precision
from tests.training.toy import training

MACHINE = Machine(torch.device("cpu"), Precision("fp32"), 1)
NUMBER = itertools.count()
GROWN = {"kind": "stacked", "channels": 4, "depth": 3, "code": 5, "grow": {"inputs": 160}}


def sections(loss=None, **model):
    loss = {"reconstruction": "l1"} | (loss or {})
    return {"data": {"subset": 96, "validation": 30}, "model": GROWN | model, "loss": loss}


def train(id_, interrupted=lambda: None, store=None, changes=None, **model):
    """Outcome, run and store of a grown net on digits: 640 inputs, a layer each 160."""
    store = store or Store.open(f"memory://stacked-{next(NUMBER)}")
    task = Tiles(TilesConfig(**sections(**model)), {})
    settings = training(**(changes or {}))
    config = sections(**model) | {"task": "tiles", "training": settings.model_dump(mode="json")}
    cell = Ready("tiles", "cell", id_, config, settings, task, task.data())
    outcome = execute(Session(store), cell, MACHINE, Watcher(interrupted=interrupted))
    return outcome, store.run("tiles", "cell", id_), store


def after(steps):
    counter = itertools.count(1)
    return lambda: "SIGINT" if next(counter) >= steps else None


def weights(run, name="model.safetensors"):
    return run.open_checkpoint(run.checkpoints()[-1]).read(name)


def marks(run):
    return [(e["inputs"], e["text"]) for e in run.events() if e.get("what") == "growth"]


EXPECTED = [
    (160, "layer 2 of 4: code of 64"),
    (320, "layer 3 of 4: code of 16"),
    (480, "layer 4 of 4: code of 5"),
]


@pytest.mark.parametrize("steps", [7, 10, 11, 20, 25, 33])  # layers join before steps 10, 20, 30
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "clip": 0.5}])
def test_resume_in_the_middle_of_growth_is_exact(steps, tied, changes):
    _, whole, _ = train("a" * 12, tied=tied, changes=changes)
    outcome, run, store = train("b" * 12, after(steps), tied=tied, changes=changes)
    assert outcome.status == "interrupted"
    outcome, run, _ = train("b" * 12, store=store, tied=tied, changes=changes)
    assert outcome.status == "finished"
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert weights(run, name) == weights(whole, name)
    assert list(dict.fromkeys(marks(run))) == marks(whole) == EXPECTED


@pytest.mark.parametrize("steps", [7, 13])
def test_noise_and_the_price_of_the_code_are_resumed_exactly(steps):
    loss = {"input_noise": {"sd": 0.2, "target": True}, "code": {"weight": 0.1}}
    _, whole, _ = train("a" * 12, loss=loss)
    _, _, store = train("b" * 12, after(steps), loss=loss)
    _, run, _ = train("b" * 12, store=store, loss=loss)
    assert weights(run) == weights(whole)
    _, clean, _ = train("c" * 12)
    assert weights(clean) != weights(whole)


def test_growth_that_is_not_in_the_checkpoint_is_seen(monkeypatch):
    """Negative control: layers that join by a count of their own differ after a resume."""
    calls = itertools.count()

    def forgetful(self, model, at):
        if next(calls) % 10 == 9 and model.active_count() < model.layers:
            model.set_active(model.active_count() + 1)

    _, whole, _ = train("a" * 12)
    monkeypatch.setattr(Tiles, "on_inputs", forgetful)
    _, run, store = train("b" * 12, after(25))
    calls = itertools.count()
    _, run, _ = train("b" * 12, store=store)
    assert weights(run) != weights(whole)


def test_losses_say_how_large_the_code_was():
    _, run, _ = train("c" * 12)
    seen = [(e["inputs"], e["values"]["code_numbers"]) for e in run.events() if e["kind"] == "val"]
    assert seen == [(160, 144), (320, 64), (480, 16), (640, 5)]
    facts = next(e for e in run.events() if e["kind"] == "facts")
    assert facts["changes"] == {"what": "growth", "until_inputs": 480}


@pytest.mark.parametrize("tied", [True, False])
def test_counts_of_both_forms_are_facts(tied):
    task = Tiles(TilesConfig(**sections(tied=tied)), {})
    facts, own = task.facts().json(), sum(p.numel() for p in task.build().parameters())
    other = Tiles(TilesConfig(**sections(tied=not tied)), {}).build()
    there = sum(p.numel() for p in other.parameters())
    pair = (own, there) if tied else (there, own)
    assert (facts["parameters_tied"], facts["parameters_free"]) == pair
    assert pair[0] < 0.7 * pair[1]


def test_growth_by_epochs_and_all_at_once():
    task = Tiles(TilesConfig(**sections(grow={"epochs": 2, "layers": 2})), {})
    assert task._grow_every() == 2 * 96
    assert task.facts().changes.until_inputs == 2 * 2 * 96  # 3 more layers, two at a time
    whole = Tiles(TilesConfig(**sections(grow=None)), {}).build()
    assert isinstance(whole, StackedAutoencoder)
    assert whole.active_count() == whole.layers == 4


def test_space_to_depth_is_a_kind():
    small = {"kind": "space-to-depth", "channels": 8, "depth": 2, "grow": None}
    outcome, run, _ = train("d" * 12, **small)
    assert outcome.status == "finished"
    assert not marks(run)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"channels": [4, 4]}, "expected one number of channels"),
        ({"kernel": 5}, "kernel: has no meaning for stacked"),
        ({"kind": "space-to-depth"}, "grow: has no meaning for space-to-depth"),
        ({"kind": "vae"}, "depth: has no meaning for vae"),
        ({"grow": {"inputs": 5, "epochs": 1}}, "exactly one of inputs and epochs"),
    ],
)
def test_options_that_change_nothing_are_refused(model, says):
    with pytest.raises(ValidationError, match=says):
        TilesConfig(**sections(**model))
