"""A first stage has finished, unless a step of it is named."""

import os

import pytest
import torch

from famulus import tasks
from famulus.config.errors import ConfigError, StoreError
from famulus.config.experiment import read
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import make_ready, prepare
from famulus.launch.session import Session
from famulus.launch.stages import first_stage
from famulus.store.store import Store
from famulus.training.precision import Precision
from tests.launch.tiny import famulus, write

TRAINING = """
training:
  inputs: 128
  batch: 32
  optimizer: {name: adam, lr: 0.003}
  precision: fp32
  checkpoint_every: {steps: 2}
  pictures_every: null
  log_every: {steps: 1}
  threads: 1
"""
CODES = """
why: a first stage
task: codes
data: {name: digits, channels: 1, subset: 64, validation: 32, seed: 0}
model: {widths: [4, 4], quantiser: {size: 8, dim: 2, pool: 0}}
"""
PRIOR = "why: a second one\ntask: prior\nmodel: {width: 4, layers: 1, first_kernel: 3}\n"
TILES = """
why: a run of another task
task: tiles
data: {name: digits, subset: 64, validation: 32}
model: {channels: [4], code: 2}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """By name: what finished first, then what was interrupted in the same experiment (after step
    3, where it has its checkpoint), and alone in another; last a finished run of another task."""
    folder = tmp_path_factory.mktemp("stages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        store = Store.open(folder / "runs")
        yield (
            store,
            {
                "whole": trained(store, CODES, "codes", 0),
                "half": trained(store, CODES, "codes", 1, stop=3),
                "alone": trained(store, CODES, "other", 2, stop=3),
                "tiles": trained(store, TILES, "tiles", 0),
            },
        )


def trained(store, text, experiment, seed, stop=9):
    ready = cell(store, f"training.seed={seed}", text=text, name=experiment)
    steps = iter(range(1, 9))
    watcher = Watcher(interrupted=lambda: "test" if next(steps) >= stop else None)
    execute(Session(store), ready, Machine(torch.device("cpu"), Precision("fp32"), 1), watcher)
    return store.run(experiment, ready.slug, ready.id)


def cell(store, *overrides, text=PRIOR, name="prior"):
    plan = read(text + TRAINING, overrides, tasks.load, name=name)
    return prepare(Session(store), plan)[0]


@pytest.mark.parametrize(
    "asked", ["last", "last@best", "last:codes", "last:codes@last", "{whole}", "{whole}@4"]
)
def test_a_finished_run_is_taken_although_newer_ones_are_half_trained(runs, asked):
    store, found = runs
    asked = asked.format(whole=found["whole"].id)
    resolved = cell(store, f"codes={asked}")
    assert resolved.config["codes"]["run"] == found["whole"].id
    again = make_ready(Session(store), "prior", "prior", resolved.config)  # as a resumed run does
    assert again.id == resolved.id


@pytest.mark.parametrize("asked", ["{half}", "{half}@best", "{half}@last", "last:other"])
def test_a_half_trained_one_is_refused_with_what_to_do(runs, asked):
    store, found = runs
    run = found["alone" if "other" in asked else "half"]
    step = run.checkpoints()[-1]
    with pytest.raises(ConfigError) as refused:
        cell(store, f"codes={asked.format(half=found['half'].id)}")
    assert f"received {run.id}, which ended at {32 * step} of 128 inputs" in str(refused.value)
    assert f"famulus resume {run.id}, or name {run.id}@{step}" in str(refused.value)
    assert str(refused.value).startswith("codes: ")


def test_unless_a_step_of_it_is_named(runs):
    store, found = runs
    run = found["half"]
    step = run.checkpoints()[-1]
    named = cell(store, f"codes={run.id}@{step}").config["codes"]
    assert (named["run"], named["step"]) == (run.id, step)


def test_the_same_for_every_first_stage(runs):
    """`last` without an experiment looks for the task that the key names, others take any."""
    store, found = runs
    assert first_stage(store, "tiles", "last") == found["tiles"].id
    assert first_stage(store, "codes", "last") == found["whole"].id
    assert first_stage(store, "pretrained", "last:codes@best") == f"{found['whole'].id}@best"
    assert first_stage(store, "pretrained", "last") == found["tiles"].id
    with pytest.raises(ConfigError, match=r"pretrained: .*finish it"):
        first_stage(store, "pretrained", found["half"].id)
    with pytest.raises(StoreError, match="none"):
        first_stage(store, "codes", "last:nowhere")


def test_where_it_still_runs_waiting_helps(runs, monkeypatch):
    store, found = runs
    monkeypatch.setattr(type(found["half"]), "status", lambda run: "running")
    with pytest.raises(ConfigError, match=r"is running, at .* inputs; wait for it, or name"):
        first_stage(store, "codes", found["half"].id)


def test_on_the_command_line_it_is_one_line(runs, tmp_path):
    store, found = runs
    path = write(tmp_path, PRIOR + f"codes: {found['half'].id}\n" + TRAINING, "prior")
    said = famulus("run", path, "--store", store.local, "--no-journal")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert os.linesep + "Traceback" not in said.err
    assert "finish it: famulus resume" in said.err
