"""Code is the same if its content is: not by the folder, the commit or the task beside it."""

import subprocess
import sys

import pytest

from famulus.journal.facts.history import history_of
from famulus.journal.facts.runs import runs_of
from famulus.store import Store, lineage, provenance
from famulus.store.claims import claim


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


def checkout(folder):
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, "first")
    return folder


def commit(folder, text):
    (folder / "notes.txt").write_text(text)
    git(folder, "add", "notes.txt")
    git(folder, "commit", "-q", "-m", text)


@pytest.fixture
def stale(tmp_path):
    """Stale runs, of runs recorded as `collect` did, in order."""

    def of(*facts):
        store = Store.open(tmp_path / "runs")
        for k, one in enumerate(facts):
            run = store.create_run("e", f"s{k}", f"{k:012x}", {"task": "tiles", "matrix": {"k": k}})
            with claim(run) as attempt:
                attempt.record_lineage(one)
                attempt.finish({"status": "finished"})
        return [int(i, 16) for i in history_of(runs_of(store, "e")).stale]

    return of


def test_two_folders_of_one_installation(tmp_path, stale):
    one, other = checkout(tmp_path / "a"), checkout(tmp_path / "b")
    plain = tmp_path / "c"
    plain.mkdir()
    facts = [lineage.collect(folder=folder) for folder in (one, other, plain)]
    commit(one, "words only")
    facts.append(lineage.collect(folder=one))
    assert facts[0]["code"]["commit"] != facts[3]["code"]["commit"]  # it is recorded all the same
    assert stale(*facts) == []


def test_another_famulus_is_stale(stale):
    now = lineage.collect()
    before = {**now, "famulus": {**now["famulus"], "sha256": "0" * 64}}
    assert stale(before, now) == [0]


def task(folder, monkeypatch, text):
    folder.mkdir(exist_ok=True)
    (folder / "mytask.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mytask", raising=False)
    __import__("mytask")
    return lineage.collect(module="mytask")


def test_a_task_of_ones_own_counts_wherever_it_lies(tmp_path, monkeypatch, stale):
    facts = [
        task(tmp_path / "a", monkeypatch, "x = 1\n"),
        task(tmp_path / "b", monkeypatch, "x = 2\n"),
        task(tmp_path / "c", monkeypatch, "x = 1\n"),
    ]
    assert [f["own"]["name"] for f in facts] == ["mytask.py"] * 3
    unknown = {k: v for k, v in facts[0].items() if k != "own"}  # of a store before this record
    assert stale(*facts, unknown, facts[0]) == [1]


def test_a_package_is_taken_whole(tmp_path, monkeypatch):
    folder = tmp_path / "mypackage"
    folder.mkdir()
    for name in ("__init__", "net", "helper"):
        (folder / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("mypackage.net")
    own = provenance.own_code("mypackage.net")
    assert own == {"name": "mypackage", "sha256": provenance.digest.__wrapped__(folder)}
    (folder / "helper.py").write_text("y = 1\n")
    assert own["sha256"] != provenance.digest.__wrapped__(folder)


def test_famuluss_own_task_is_no_persons_own():
    assert provenance.own_code("famulus.store.run") is None
    assert provenance.own_code("no.such.module") is None
