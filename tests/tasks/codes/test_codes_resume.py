"""Codes, then a prior, through the real loop: interrupted equals undisturbed, bit for bit.

The codebook's averages, its pool before k-means and its resets are all in the checkpoint.
"""

import pytest
import torch

from famulus import tasks
from famulus.config.experiment import read
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import prepare
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.training import checkpoint as pack
from famulus.training.precision import Precision

TRAINING = """
training:
  inputs: 960
  batch: 32
  optimizer: {name: adam, lr: 0.003}
  precision: fp32
  validate_every: {steps: 10}
  checkpoint_every: {steps: 3}
  pictures_every: null
  log_every: {steps: 5}
"""
CODES = """
why: does an interrupted codebook end like one that was not?
task: codes
data: {name: digits, channels: 1, subset: 200, validation: 60}
model: {widths: [8, 8], quantiser: {size: 32, dim: 4, pool: 1500, reset_below: 0.3}}
"""
PRIOR = """
why: how many bits does a code cost?
task: prior
codes: last
model: {width: 8, layers: 2, first_kernel: 3, samples: 2}
"""
MACHINE = Machine(torch.device("cpu"), Precision("fp32"), 1)
STEPS = 30


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def train(root, text, stop_after=()):
    """Trains, interrupted after each of these many steps of a life; returns the last checkpoint."""
    store = Store.open(root)

    def ready():
        plan = read(text + TRAINING, (), tasks.load)
        return prepare(Session(store), plan)[0]

    for count in stop_after:
        steps = iter(range(1, STEPS + 1))

        def interrupted(steps=steps, count=count):
            return "test" if next(steps) == count else None

        outcome = execute(Session(store), ready(), MACHINE, Watcher(interrupted=interrupted))
        assert outcome.status == "interrupted"
    cell = ready()
    assert execute(Session(store), cell, MACHINE, Watcher()).status == "finished"
    run = store.run(cell.experiment, cell.slug, cell.id)
    return run, run.open_checkpoint(STEPS)


@pytest.mark.parametrize("stop_after", [(2, 9, 4), (17,)])  # before the k-means start, and after
def test_an_interrupted_codebook_is_bit_equal(tmp_path, stop_after):
    _, whole = train(tmp_path / "whole", CODES)
    _, parts = train(tmp_path / "parts", CODES, stop_after)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert whole.read(name) == parts.read(name)


def test_a_codebook_outside_the_checkpoint_is_seen(tmp_path, monkeypatch):
    """Control: averages that are not saved make the end differ."""
    _, whole = train(tmp_path / "whole", CODES)
    loaded = pack.load_model

    def forgetful(model, *args):
        loaded(model, *args)
        model.quantiser.counts_GK.mul_(0.5)

    monkeypatch.setattr(pack, "load_model", forgetful)
    _, parts = train(tmp_path / "parts", CODES, (17,))
    assert whole.read("model.safetensors") != parts.read("model.safetensors")


def test_two_stages_are_one_lineage_and_the_second_resumes_exactly(tmp_path):
    first, _ = train(tmp_path, CODES)
    run, whole = train(tmp_path, PRIOR)
    named = run.config()["codes"]
    assert named["run"] == first.id
    assert len(named["sha256"]) == 64
    scores = run.done()["scores"]
    assert {"val/bits_per_code", "val/bits_per_dim", "val/accuracy"} <= scores.keys()
    floors = {e["score"] for e in run.events() if e["kind"] == "floor"}
    assert {"loss", "accuracy", "bits_per_code", "bits_per_dim"} <= floors
    other = tmp_path / "other"
    train(other, CODES)
    _, parts = train(other, PRIOR, (7, 11))
    assert whole.read("model.safetensors") == parts.read("model.safetensors")
