"""References become ids and hashes once; the identity that follows is stable."""

import shutil

import pytest

from famulus import tasks
from famulus.config.errors import ConfigError, DataError, StoreError
from famulus.config.experiment import read
from famulus.feed.source import Splits
from famulus.launch.plan import again, child, make_ready, prepare, repetition
from famulus.launch.session import Session
from famulus.store.store import Store
from tests.launch.tiny import ONE, TEXT, famulus, signalled, write


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One run, interrupted after step 6: checkpoints at 5 (the best) and 6 (the last)."""
    folder = tmp_path_factory.mktemp("plan")
    with pytest.MonkeyPatch.context() as patch, signalled(5):
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        words = ("run", write(folder), *ONE, "--store", folder / "runs", "--no-journal")
        assert famulus(*words).code == 130
        yield Store.open(folder / "runs")


@pytest.fixture
def run(store):
    return store.runs()[0]


def cells(store, *overrides):
    plan = read(TEXT, overrides, tasks.load, name="tiny")
    return prepare(Session(store), plan)


@pytest.mark.parametrize(
    ("which", "step"), [("best", 5), ("last", 6), ("5", 5)], ids=["best", "last", "a step"]
)
def test_a_reference_becomes_an_id_and_a_hash(store, run, which, step):
    cell = cells(store, f"start_from={run.id[:7]}@{which}")[0]
    digest = run.manifest(step)["files"]["model.safetensors"]["sha256"]
    assert cell.config["start_from"] == {"run": run.id, "step": step, "sha256": digest}
    assert (cell.warm.run, cell.warm.step) == (run, step)


def test_a_name_in_words_is_the_same_run(store, run):
    by_name = cells(store, "start_from=last:tiny@best")[0]
    assert by_name.config == cells(store, f"start_from={run.id}@5")[0].config
    assert by_name.id == cells(store, f"start_from={run.id}@best")[0].id


def test_another_checkpoint_is_another_run(store, run):
    one = {c.id for c in cells(store, f"start_from={run.id}@best")}
    other = {c.id for c in cells(store, f"start_from={run.id}@last")}
    assert not one & other
    assert not one & {c.id for c in cells(store)}


def test_resolving_what_is_resolved_changes_nothing(store, run):
    for cell in (*cells(store), *cells(store, f"start_from={run.id}@best")):
        once = make_ready(Session(store), cell.experiment, cell.slug, cell.config)
        twice = make_ready(Session(store), cell.experiment, cell.slug, once.config)
        assert cell.id == once.id == twice.id
        assert cell.config == once.config == twice.config


def test_a_stored_run_is_itself_again(store, run):
    cell = again(Session(store), run)
    assert (cell.id, cell.config) == (run.id, run.config())


def test_other_weights_than_were_recorded_are_refused(store, run):
    cell = cells(store, f"start_from={run.id}@best")[0]
    config = {**cell.config, "start_from": {**cell.config["start_from"], "sha256": "0" * 64}}
    with pytest.raises(ConfigError, match=r"start_from: checkpoint 5 .* other weights"):
        make_ready(Session(store), cell.experiment, cell.slug, config)


@pytest.mark.parametrize(
    ("reference", "error", "told"),
    [
        ("abc@best", StoreError, "received 'abc'"),
        ("last:none@best", StoreError, "none"),
        ("last:tiny@4", ConfigError, r"received '4': it has 5, 6"),
    ],
)
def test_a_reference_to_nothing(store, reference, error, told):
    with pytest.raises(error, match=told):
        cells(store, f"start_from={reference}")


def test_changed_data_are_not_gone_on_with(store, run, monkeypatch):
    monkeypatch.setattr(Splits, "fingerprint", "other")
    with pytest.raises(DataError, match=f"run {run.id} can't go on: its data have changed"):
        again(Session(store), run)


def test_a_child_has_its_own_id_and_keeps_it(store, run):
    made = [child(Session(store), run, 6, ["training.batch=16"], "resume") for _ in range(2)]
    assert made[0].id == made[1].id != run.id
    assert made[0].config["training"]["batch"] == 16
    assert made[0].config["origin"] == {"run": run.id, "step": 6, "kind": "resume"}
    assert child(Session(store), run, 5, ["training.batch=16"], "resume").id != made[0].id
    stored = make_ready(Session(store), "tiny", run.slug, made[0].config)
    assert (stored.id, stored.origin.step) == (made[0].id, 6)


def test_a_repetition_is_a_run_of_its_own(store, run):
    cell = repetition(Session(store), run)
    assert cell.id != run.id
    assert cell.origin is None  # from the start
    assert {k: v for k, v in cell.config.items() if k != "origin"} == run.config()
    assert repetition(Session(store), run).id == cell.id  # until it is there
    made = store.create_run(cell.experiment, cell.slug, cell.id, cell.config)
    assert repetition(Session(store), run).id != cell.id
    assert repetition(Session(store), made).config["origin"]["run"] == made.id
    shutil.rmtree(store.local / made.path)
