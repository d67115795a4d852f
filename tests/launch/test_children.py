"""Runs that come from another one outlive its checkpoints, and take the weights that were judged.

The parent is interrupted after step 6, its child after step 8; then the parent goes on and removes
the checkpoint from which the child began.
"""

import math

import pytest
from safetensors.torch import load

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.journal.facts.read import read_run
from famulus.launch.plan import again, child, prepare
from famulus.launch.session import Session
from famulus.store.store import Store
from tests.launch.tiny import ONE, TEXT, famulus, signalled, write

KEEP_ONE = ("--set", "training.keep.last=1", "--set", "training.keep.best=null")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def interrupted(folder, *more):
    """A store with one run that stopped after step 6, and that run."""
    with signalled(5):
        words = ("run", write(folder), *ONE, *more, "--store", folder / "runs", "--no-journal")
        assert famulus(*words).code == 130
    store = Store.open(folder / "runs")
    return store, store.runs()[0]


def go_on(folder, run, *more):
    return famulus("resume", run.id, *more, "--store", folder / "runs").code


def test_a_child_goes_on_when_its_beginning_is_gone(folder):
    store, parent = interrupted(folder, *KEEP_ONE)
    with signalled(7):
        assert go_on(folder, parent, "--set", "training.batch=16") == 130
    (made,) = [run for run in store.runs() if run != parent]
    began = made.lineage()
    assert go_on(folder, parent) == 0
    assert began["parent"]["step"] not in parent.checkpoints()
    assert go_on(folder, made) == 0
    assert made.done()["status"] == "finished"
    assert made.lineage()["parent"] == began["parent"]
    assert made.lineage()["overrides"] == began["overrides"] == ["training.batch=16"]
    steps = [e["step"] for e in made.curve() if e["kind"] == "train"]
    assert steps == sorted(set(steps))
    assert steps[0] == 1


def test_a_child_knows_what_was_spent_before_it(folder):
    store, parent = interrupted(folder)
    assert go_on(folder, parent, "--set", "training.batch=16") == 0
    (made,) = [run for run in store.runs() if run != parent]
    (facts,) = [e for e in made.events() if e["kind"] == "facts"]
    spent = parent.open_checkpoint(6).state["progress"]["seconds"]
    assert facts["inherited"]["seconds"] == spent > 0
    records = [read_run(run) for run in (parent, made)]
    assert records[1].own_seconds == pytest.approx(records[1].seconds - spent)
    assert records[0].own_seconds == records[0].seconds  # control: it goes on from nothing


def test_a_warm_start_goes_on_when_its_weights_are_gone(folder):
    store, parent = interrupted(folder, *KEEP_ONE)
    plan = read(
        TEXT,
        [f"start_from={parent.id}@6", *ONE[1:]],
        tasks.load,
        name="tiny",
    )
    warm = prepare(Session(store), plan)[0]
    made = store.create_run(warm.experiment, warm.slug, warm.id, warm.config)
    assert go_on(folder, parent) == 0
    assert again(Session(store), made).id == made.id


def test_weights_that_were_averaged_are_what_a_second_stage_gets(folder):
    store, parent = interrupted(folder, "--set", "training.ema=0.9")
    plan = read(TEXT, [f"start_from={parent.id}@best"], tasks.load, name="tiny")
    cell = prepare(Session(store), plan)[0]
    files = parent.manifest(cell.warm.step)["files"]
    assert cell.config["start_from"]["sha256"] == files["average.safetensors"]["sha256"]
    assert files["average.safetensors"]["sha256"] != files["model.safetensors"]["sha256"]
    opened = cell.warm.open()
    average, raw = (load(opened.read(f"{kind}.safetensors")) for kind in ("average", "model"))
    assert any((average[name] != raw[name]).any() for name in raw)


@pytest.mark.parametrize(
    ("change", "told"),
    [("name=rmsprop", "name: expected adam"), ("amsgrad=true", "amsgrad: expected none")],
)
def test_another_optimizer_cannot_take_the_state_over(folder, change, told):
    store, parent = interrupted(folder)
    with pytest.raises(ConfigError, match=f"{told}.*start_from: {parent.id}@6"):
        child(Session(store), parent, 6, [f"training.optimizer.{change}"], "resume")
    assert (
        child(Session(store), parent, 6, ["training.optimizer.lr=0.01"], "resume").id != parent.id
    )


def rates(run):
    """{step: the rate of its update}, as logged at every step."""
    return {e["step"]: e["lr"] for e in run.curve() if e["kind"] == "train"}


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_child_goes_on_at_a_constant_rate(folder, schedule):
    """From .001 to .00001, then constant: the parent's rate to step 6, the whole rate after it."""
    falling = f"training.schedule={{name: {schedule}, final_lr: 0.00001}}"
    store, parent = interrupted(folder, "--set", falling)
    assert go_on(folder, parent, "--set", "training.schedule.name=constant") == 0
    (made,) = [run for run in store.runs() if run != parent]
    assert made.done()["status"] == "finished"
    assert made.lineage()["overrides"] == ["training.schedule.name=constant"]
    assert go_on(folder, parent) == 0
    left, kept = rates(parent), rates(made)
    assert sorted(left) == sorted(kept) == list(range(1, 11))
    before = {n: kept[n] for n in range(1, 7)}
    assert before == {n: left[n] for n in range(1, 7)}
    share = [t / 10 for t in range(10)]  # of the way, at the beginning of a step
    fall = [0.5 * (1 + math.cos(math.pi * t)) if schedule == "cosine" else 1 - t for t in share]
    assert list(left.values()) == pytest.approx([1e-5 + 0.00099 * f for f in fall], rel=1e-6)
    assert [kept[n] for n in range(7, 11)] == pytest.approx([0.001] * 4)


def test_a_run_that_has_ended_goes_on_at_a_constant_rate(folder):
    """The rate had come down to .00001; ten more steps are made at the whole rate."""
    falling = "training.schedule={name: cosine, final_lr: 0.00001}"
    words = ("run", write(folder), *ONE, "--set", falling, "--store", folder / "runs")
    assert famulus(*words, "--no-journal").code == 0
    store = Store.open(folder / "runs")
    (parent,) = store.runs()
    longer = ("--set", "training.inputs=640", "--set", "training.schedule.name=constant")
    assert go_on(folder, parent, *longer) == 0
    (made,) = [run for run in store.runs() if run != parent]
    kept = rates(made)
    assert sorted(kept) == list(range(1, 21))
    assert kept[10] == rates(parent)[10] < 0.0001
    assert [kept[n] for n in range(11, 21)] == pytest.approx([0.001] * 10)
