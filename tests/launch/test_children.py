"""Runs that come from another one outlive its checkpoints, and take the weights that were judged.

The parent is interrupted after step 6, its child after step 8; then the parent goes on and removes
the checkpoint from which the child began.
"""

import pytest
from safetensors.torch import load

from famulus import tasks
from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.launch.plan import again, child, prepare
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


def test_a_warm_start_goes_on_when_its_weights_are_gone(folder):
    store, parent = interrupted(folder, *KEEP_ONE)
    plan = read(
        TEXT,
        [f"start_from={parent.id}@6", *ONE[1:]],
        lambda name: tasks.load(name).Config,
        name="tiny",
    )
    warm = prepare(store, plan)[0]
    made = store.create_run(warm.experiment, warm.slug, warm.id, warm.config)
    assert go_on(folder, parent) == 0
    assert again(store, made).id == made.id


def test_weights_that_were_averaged_are_what_a_second_stage_gets(folder):
    store, parent = interrupted(folder, "--set", "training.ema=0.9")
    plan = read(
        TEXT, [f"start_from={parent.id}@best"], lambda name: tasks.load(name).Config, name="tiny"
    )
    cell = prepare(store, plan)[0]
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
        child(store, parent, 6, [f"training.optimizer.{change}"], "resume", ())
    assert child(store, parent, 6, ["training.optimizer.lr=0.01"], "resume", ()).id != parent.id
