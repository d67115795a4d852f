"""Mistakes of a person: one line that names what and where, an exit code, and nothing is lost."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from famulus.store.claims import claim
from famulus.store.store import Store
from tests.launch.tiny import ONE, TEXT, complains, famulus, lost, signalled, tree, write


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FAMULUS_STORE", raising=False)


@pytest.fixture
def file(tmp_path):
    return write(tmp_path)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    with signalled(5):
        words = ("run", write(folder), *ONE, "--store", folder / "runs", "--no-journal")
        assert famulus(*words).code == 130
    return folder / "runs"


@pytest.fixture
def store(tmp_path, interrupted):
    """A store that already holds something: a run that was interrupted after step 6."""
    store = Store.open(shutil.copytree(interrupted, tmp_path / "runs"))
    assert store.runs()[0].checkpoints() == [5, 6]  # the best, and the last
    return store


def refused(store, code, *words, arguments=("run", "check")):
    """Both commands complain, and the store is as it was, to the last byte."""
    before = tree(store.local)
    for command in ("run", "check"):
        line = complains(famulus(command, *arguments, "--store", store.root), code, *words)
    assert tree(store.local) == before
    return line


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.batch=null", ["training.batch", "expected an integer", "null"]),
        ("training=null", ["training", "expected a section", "null"]),
        ("training.bacth=2", ["training.bacth", "unknown key", "'batch'"]),
        ("trianing.batch=2", ["trianing", "unknown key", "'training'"]),
        ("training.batch=two", ["training.batch", "expected an integer", "two"]),
        ("training.batch='64'", ["training.batch", "expected an integer"]),
        ("model.code=3e-4", ["model.code", "expected an integer"]),
        ("task=tilse", ["task", "tilse", "'tiles'"]),
        ("matrix.lr=[]", ["matrix.lr"]),
        ("training.optimizer.name=adamm", ["adamm"]),
        ("training.optimizer.betaz=2", ["betaz"]),
        ("data.name=digit", ["data.name", "'digits'"]),
        ("no equals sign", ["expected key=value"]),
    ],
)
def test_an_override(store, file, override, words):
    refused(store, 2, override.partition("=")[0], *words, arguments=(file, "--set", override))


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("batch: 32", "bacth: 32", "10:3", ["training.bacth", "unknown key", "'batch'"]),
        ("batch: 32", "batch: null", "10:10", ["training.batch", "expected an integer", "null"]),
        ("batch: 32", "batch: many", "10:10", ["training.batch", "expected an integer", "many"]),
        ("task: tiles", "task: tails", "2:7", ["tails", "'tiles'"]),
        ("kind: vae", "kind: veto", "6:15", ["model.kind", "autoencoder", "received veto"]),
        ("${matrix.lr}", "${matrix.rate}", "11:", ["rate", "lr"]),
        ("batch: 32", "batch: 010", "10:10", ["010"]),
        ("batch: 32", "batch: 32\n  batch: 64", "11:3", ["batch"]),
    ],
)
def test_a_line_of_the_file(store, tmp_path, old, new, place, words):
    assert TEXT.count(old) == 1
    file = write(tmp_path, TEXT.replace(old, new), "wrong")
    refused(store, 2, f"{file}:{place}", *words, arguments=(file,))


@pytest.mark.parametrize(
    ("where", "setting"),
    [
        ("training.stop.score", "training.stop={score: val/los}"),
        ("training.keep.best", "training.keep.best=val/los"),
        ("training.schedule.score", "training.schedule={name: plateau, score: val/los}"),
    ],
)
def test_an_unknown_score_lists_the_scores(store, file, where, setting):
    """Before anything is written; the data are not opened for it."""
    before = tree(store.local)
    said = famulus("run", file, "--set", setting, "--store", store.root, "--no-journal")
    complains(said, 2, where, "'val/los'", "'val/loss'", "val/l1, val/loss", "direction: min or")
    assert tree(store.local) == before
    complains(famulus("check", file, "--set", setting, "--store", store.root), 2, where, "val/l1")


@pytest.mark.parametrize(
    ("where", "setting"),
    [
        ("training.stop.score", "training.stop={score: val/los, direction: min}"),
        ("training.keep.best", "training.keep={best: val/los, direction: max}"),
        (
            "training.schedule.score",
            "training.schedule={name: plateau, score: val/los, direction: min}",
        ),
    ],
)
def test_a_score_that_nobody_declared_must_be_measured(store, file, where, setting):
    before = tree(store.local)
    said = famulus("run", file, "--set", setting, "--store", store.root, "--no-journal")
    complains(said, 2, where, "'val/los'", "'val/loss'", "val/l1, val/loss", "and 1 more cell")
    changed = lost(before, tree(store.local))
    assert changed == ["tiny/cells.json"]  # the plan; and no run
    assert Store.open(store.root).find("last").status() == "failed"
    complains(famulus("check", file, "--set", setting, "--store", store.root), 2, where, "val/l1")


def test_a_missing_file(store, tmp_path):
    refused(store, 2, "none.yaml", "no such file", arguments=(tmp_path / "none.yaml",))


@pytest.mark.parametrize("name", ["pictures", "pictures.zip", "pictures.npz"])
def test_missing_data(store, file, tmp_path, name):
    path = tmp_path / "nowhere" / name
    refused(store, 3, "data.name", str(path), arguments=(file, "--set", f"data.name={path}"))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(60):
        pixels = random.integers(0, 255, (10, 10), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


SIZES = ("--set", "data={name: %s, size: 8}", "--set", "training.batch=8")


def sized(folder):
    return [text.replace("%s", str(folder)) for text in SIZES]


def test_a_corrupt_picture_is_named_and_left_out(store, file, pictures):
    half = (pictures / "00.png").read_bytes()
    (pictures / "00.png").write_bytes(half[: len(half) // 2])
    (pictures / "01.png").write_bytes(b"no picture")
    said = famulus("check", file, *ONE, *sized(pictures), "--store", store.root)
    lines = [line for line in said.out.splitlines() if "00.png" in line or "01.png" in line]
    assert lines
    assert all(line.startswith("! data") for line in lines)
    said = famulus("run", file, *ONE, *sized(pictures), "--store", store.root, "--no-journal")
    assert said.code == 0
    facts = next(e for e in store.find("last").events() if e["kind"] == "facts")
    assert any("00.png" in note for note in facts["data_notes"])
    assert any("01.png" in note for note in facts["data_notes"])


def test_only_corrupt_pictures(store, file, pictures):
    for path in pictures.iterdir():
        path.write_bytes(b"no picture")
    before = tree(store.local)
    said = famulus("run", file, *ONE, *sized(pictures), "--store", store.root, "--no-journal")
    complains(said, 3, "pictures")
    assert not [name for name in lost(before, tree(store.local)) if "cells.json" not in name]


@pytest.mark.parametrize("suffix", [".zip", ".npz"])
def test_a_corrupt_archive(store, file, tmp_path, suffix):
    path = tmp_path / f"set{suffix}"
    path.write_bytes(b"PK\x03\x04 torn")
    refused(store, 3, str(path), arguments=(file, "--set", f"data.name={path}"))


def test_too_small_a_set(store, file):
    said = famulus("run", file, *ONE, "--set", "data.subset=20", "--store", store.root)
    complains(said, 3, "20 training samples", "training.batch = 32")


def test_a_picture_that_apply_cannot_read(store, tmp_path):
    broken = tmp_path / "x.png"
    broken.write_bytes(b"no picture")
    run = store.runs()[0]
    said = famulus("apply", run.id, broken, "-o", tmp_path / "out", "--store", store.root)
    complains(said, 3, "x.png")


def test_a_truncated_checkpoint(store, tmp_path):
    """Named, with what to do; doing it, the run goes on from the checkpoint before."""
    run = store.runs()[0]
    weights = store.local / run.path / "checkpoints/6/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    before = tree(store.local)
    said = famulus("resume", run.id, "--store", store.root)
    line = complains(said, 4, "model.safetensors is damaged", f"{len(whole)} bytes", "remove")
    assert lost(before, tree(store.local)) == []
    folder = weights.parent
    assert f"remove the folder {folder}" in line
    shutil.rmtree(folder)
    assert famulus("resume", run.id, "--store", store.root).code == 0
    steps = [e["step"] for e in run.events() if e["kind"] == "train"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 10


def test_one_changed_bit_of_a_checkpoint(store):
    run = store.runs()[0]
    weights = store.local / run.path / "checkpoints/6/optimizer.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    complains(
        famulus("resume", run.id, "--store", store.root), 4, "optimizer.safetensors", "sha256"
    )


def test_a_torn_manifest_is_no_checkpoint(store):
    run = store.runs()[0]
    manifest = store.local / run.path / "checkpoints/6/manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:40])
    assert run.checkpoints() == [5]
    assert famulus("resume", run.id, "--store", store.root).code == 0
    assert run.attempts()[1]["start_from"] == 5


def test_a_store_of_a_newer_version(store, file):
    (store.local / "famulus.json").write_text(json.dumps({"version": 99}))
    refused(store, 4, "version 1", "99", "upgrade", arguments=(file,))
    complains(famulus("status", "--store", store.root), 4, "99")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--colour"], "--colour"),
        (["run"], "argument 'file'"),
        (["ran", "x.yaml"], "ran"),
        (["extend", "last"], "--inputs"),
        (["run", "x.yaml", "--workers", "0"], "--workers"),
        (["run", "x.yaml", "--on", "moon"], "--on moon"),
        (["extend", "last", "--inputs", "lots"], "--inputs lots"),
        (["extend", "last", "--inputs", "2"], "more than the 320 inputs"),
        (["apply", "last", "-o", "out"], "MODEL INPUT"),
    ],
)
def test_a_wrong_command_line(store, words, told):
    before = tree(store.local)
    at = [] if words[0] == "ran" else ["--store", store.root]
    complains(famulus(*words, *at), 2, told)
    assert tree(store.local) == before


def test_an_unknown_run_and_an_ambiguous_one(store):
    complains(famulus("resume", "zzz", "--store", store.root), 4, "zzz", store.runs()[0].id)
    complains(famulus("resume", "", "--store", store.root), 4)


def test_two_writers(store, file):
    """While another process has the run, `resume` and `rerun` of it say so at once."""
    run = store.runs()[0]
    with claim(Store.open(store.root).runs()[0]) as other:
        other.emit({"kind": "train", "step": 7})
        before = tree(store.local)
        said = famulus("resume", run.id, "--store", store.root)
        complains(said, 5, run.path, "is running", "wait, or stop that process")
        kept = lost(before, tree(store.local))
        assert [name for name in kept if not name.startswith("journal")] == []
        assert other.n == 2
    assert famulus("resume", run.id, "--store", store.root).code == 0  # the control


def test_the_same_line_from_a_process_of_its_own(tmp_path, file):
    """As a shell sees it: without a traceback, with the code, and with --debug the traceback."""
    words = [sys.executable, "-m", "famulus.cli", "run", str(file), "--set", "training.batch=null"]
    words += ["--store", str(tmp_path / "other")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "training.batch: expected an integer, received null" in done.stderr


def test_json_has_the_error_too(store, file):
    said = famulus("run", file, "--set", "training.batch=0", "--json", "--store", store.root)
    assert said.json()["exit_code"] == said.code == 2
    assert "training.batch" in said.json()["error"]
    assert said.err.count("\n") == 1
