"""SIGKILL at random steps, on real pictures: the end is bit for bit that of an undisturbed run."""

import multiprocessing
import os
import random
import signal

import pytest
import torch

from famulus import tasks
from famulus.config.experiment import read
from famulus.launch.cell import Machine, Watcher, execute
from famulus.launch.plan import prepare
from famulus.launch.session import Session
from famulus.store.store import Store
from famulus.training.precision import Precision
from famulus.training.randomness import Streams

FILE = """
why: does a killed run end like one that was not?
task: tiles
data: {name: digits, subset: 320}
model: {kind: KIND, channels: [4, 6], code: 8, dropout: 0.1}
loss: {reconstruction: l1, kl_weight: 0.001}
training:
  inputs: 2_560
  batch: 32
  optimizer: {name: adam, lr: 0.003}
  schedule: {name: cosine}
  precision: fp32
  validate_every: {steps: 20}
  checkpoint_every: {steps: 6}
  pictures_every: null
  log_every: {steps: 4}
"""
STEPS = 80
MACHINE = Machine(torch.device("cpu"), Precision("fp32"), 1)


def cell(root, kind):
    plan = read(FILE.replace("KIND", kind), (), tasks.load)
    return prepare(Session(Store.open(root)), plan)[0]


def child(root, kind, kill_at, broken):
    """Trains in a process of its own, which dies without a word after `kill_at` steps of it."""
    torch.set_num_threads(1)
    if broken:  # noise that depends on the process, as if its state had not been restored
        restored = Streams.step
        Streams.step = lambda self, step: restored(self, step + os.getpid() * STEPS)
    steps = iter(range(1, STEPS + 1))

    def interrupted():
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    execute(Session(Store.open(root)), cell(root, kind), MACHINE, Watcher(interrupted=interrupted))


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    # What every life would import again, once.
    context.set_forkserver_preload(
        ["famulus.launch.cell", "famulus.tasks.tiles.tiles", "sklearn.datasets"]
    )
    return context


def launch(processes, root, kind, kill_at=None, broken=False):
    process = processes.Process(target=child, args=(str(root), kind, kill_at, broken))
    process.start()
    process.join(120)
    return process.exitcode


def final(root, kind):
    planned = cell(root, kind)
    run = Store.open(root).run(planned.experiment, planned.slug, planned.id)
    return run, run.open_checkpoint(STEPS)


@pytest.mark.parametrize("kind", ["autoencoder", "vae"])
def test_killed_five_times_equals_undisturbed(tmp_path, processes, kind):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert launch(processes, whole, kind) == 0
    # From 7 on, so that each life passes a checkpoint and five kills fit into 80 steps.
    moments = [random.SystemRandom().randint(7, 15) for _ in range(5)]
    for moment in moments:
        assert launch(processes, killed, kind, kill_at=moment) == -signal.SIGKILL
    assert launch(processes, killed, kind) == 0
    run, end = final(killed, kind)
    reference, expected = final(whole, kind)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert end.read(name) == expected.read(name), f"killed after {moments} steps"
    assert len(run.attempts()) == 6

    def curve(one):
        return [(e["step"], e["values"]) for e in one.curve() if e["kind"] in ("train", "val")]

    assert curve(run) == curve(reference)


def test_without_restored_noise_the_end_differs(tmp_path, processes):
    """Negative control: the test above can fail."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert launch(processes, whole, "vae") == 0
    assert launch(processes, killed, "vae", kill_at=20) == -signal.SIGKILL
    assert launch(processes, killed, "vae", broken=True) == 0
    model = "model.safetensors"
    assert final(killed, "vae")[1].read(model) != final(whole, "vae")[1].read(model)
