"""Commands that look write nothing into a store, and make none where there is none."""

import pytest

from famulus.store import index
from famulus.store.claims import claim
from famulus.store.store import Store
from tests.launch.tiny import ONE, complains, famulus, signalled, tree, write

READING = [
    ["compare", "tiny"],
    ["diagnose", "last"],
    ["forecast"],
    ["forecast", "--backtest"],
    ["journal"],
    ["journal", "tiny"],
    ["resume", "last"],
    ["extend", "last", "--inputs", "+1k"],
    ["rerun", "last"],
    ["apply", "last", "x.png", "-o", "out"],
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAMULUS_STORE", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_where_there_is_no_store(folder, words):
    complains(famulus(*words), 4, "expected a store at", "runs", "famulus run FILE", "--store")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [["status"], ["status", "tiny"], ["status", "--json"]])
def test_status_says_how_to_begin(folder, words):
    said = famulus(*words)
    assert (said.code, said.err) == (0, "")
    assert said.json() == [] if "--json" in words else "famulus new" in said.out
    assert list(folder.iterdir()) == []
    assert not index.cache_file(str(folder / "runs")).exists()


def test_check_makes_no_store(folder):
    file = write(folder)
    assert famulus("check", file, *ONE, "--budget", 1).code in (0, 1)
    assert [p.name for p in folder.iterdir()] == ["tiny.yaml"]


def test_what_status_suggests_works_in_a_fresh_folder(folder):
    out = "experiments/deep/first.yaml"
    assert famulus("new", "tiles", "-o", out).code == 0
    assert (folder / out).read_text() == famulus("new", "tiles").out
    (folder / "file").write_text("")
    complains(famulus("new", "tiles", "-o", "file/first.yaml"), 2, "file/first.yaml", "folder")


def test_looking_at_a_store_changes_nothing(folder):
    assert famulus("run", write(folder), *ONE, "--no-journal").code == 0
    before = tree(folder / "runs")
    for words in (["status"], ["compare", "tiny"], ["diagnose", "last"], ["forecast"]):
        assert famulus(*words).code == 0
    assert famulus("check", "tiny.yaml", *ONE, "--budget", 1).code in (0, 1)
    assert tree(folder / "runs") == before


def test_an_attempt_that_died_early_shows_its_checkpoint(folder):
    with signalled(5):
        assert famulus("run", write(folder), *ONE, "--no-journal").code == 130
    run = Store.open("runs").find("last")
    claim(run).end("interrupted")  # before its first log
    (row,) = famulus("status", "--json").json()
    step = run.checkpoints()[-1]
    at = run.open_checkpoint(step).state["progress"]
    assert row["status"] == "interrupted"
    assert (row["step"], row["inputs"]) == (step, at["inputs"]) == (6, 192)
    assert row["scores"] == at["scores"]
    assert f"{192:>12,} inputs" in famulus("status").out


def test_a_planned_run_shows_none(folder):  # the control: nothing is made up
    store = Store.open("runs")
    run = store.create_run("e", "s", "0" * 12, {})
    assert index.summary(run)["inputs"] is None


def test_weights_are_where_the_manifest_says(folder):
    store = Store.open("runs")
    run = store.create_run("e", "s", "0" * 12, {})
    for step in (2, 4):
        attempt = claim(run)
        files = {"model.safetensors": b"raw %d" % step}
        if step == 4:
            files["average.safetensors"] = b"mean"
        attempt.save_checkpoint(step, files, {}, ["best"] if step == 2 else [])
        attempt.end("interrupted")
    assert [run.weights(), run.weights("last"), run.weights("2")] == [b"raw 2", b"mean", b"raw 2"]
    newest = run.open_checkpoint(4)
    assert newest.path("model.safetensors").endswith("checkpoints/4/model.2.safetensors")
    assert (store.local / newest.path(newest.weights)).read_bytes() == b"mean"
    with pytest.raises(Exception, match="received 'model'"):
        newest.path("model")
