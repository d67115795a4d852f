"""A run that was removed: nothing vanishes with it in silence, and its pages go."""

import hashlib
import shutil

import pytest

from famulus.journal.facts.runs import runs_of
from famulus.journal.pages.written import LIST
from famulus.store.store import Store
from tests.launch.tiny import ONE, complains, famulus, signalled, write


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A folder with a file and a store of one finished run, extended once, and its pages."""
    folder = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAMULUS_CACHE", str(folder / "cache"))
        file, at = write(folder), ("--store", folder / "runs")
        assert famulus("run", file, *ONE, *at).code == 0
        assert famulus("extend", "last", "--inputs", "+320", *at).code == 0
    return folder


@pytest.fixture
def removed(family, tmp_path, monkeypatch):
    """A copy of it in which the parent's folder was removed; the parent's id and the child."""
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(family, tmp_path / "lab")
    store = Store.open(folder / "runs")
    child = store.find("last")
    parent = child.parent()[0]
    assert famulus("status", "--store", store.root).out.count("is gone") == 0  # also cached
    shutil.rmtree(store.local / parent.path)
    return folder, store, parent, child


def test_its_fork_stays_in_every_table(removed):
    _, store, parent, child = removed
    at = ("--store", store.root)
    said = famulus("compare", "tiny", *at)
    assert said.code == 0, said.err
    assert f"{child.id}: its parent {parent.id} is gone" in said.out
    assert len(famulus("compare", "tiny", "--json", *at).json()["rows"]) == 1
    assert f"its parent {parent.id} is gone" in famulus("status", *at).out
    assert famulus("journal", "tiny", *at).code == 0
    for page in ("index.html", "index.md"):
        text = (store.local / "journal/tiny" / page).read_text()
        assert f"{child.id}: its parent {parent.id} is gone" in text
    (row,) = famulus("status", "--json", *at).json()
    assert (row["parent"], row["parent_gone"]) == (parent.path, True)
    runs = runs_of(store, "tiny")
    assert [r.id for r in runs.records] == [child.id]
    assert (runs.earlier, dict(runs.gone)) == ((), {child.id: parent.id})


def test_a_parent_that_is_there_is_not_said_to_be_gone(family, monkeypatch, tmp_path):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    at = ("--store", family / "runs")
    assert "gone" not in famulus("compare", "tiny", *at).out + famulus("status", *at).out
    rows = famulus("status", "--json", *at).json()
    assert [row["parent_gone"] for row in rows] == [False, False]


def test_run_does_not_train_again_what_its_fork_holds(removed):
    folder, store, parent, child = removed
    said = famulus("run", folder / "tiny.yaml", *ONE, "--store", store.root, "--no-journal")
    assert said.code == 0, said.err
    assert f"its run {parent.id} is gone" in said.out
    assert child.path in said.out
    assert store.runs() == [child]
    shutil.rmtree(store.local / child.path)  # asked for: then it is
    assert (
        famulus("run", folder / "tiny.yaml", *ONE, "--store", store.root, "--no-journal").code == 0
    )
    assert [run.id for run in store.runs()] == [parent.id]


def test_an_unfinished_fork_does_not_stand_for_it(family, tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(family, tmp_path / "lab")
    store = Store.open(folder / "runs")
    done = store.find("last")
    parent = done.parent()[0]
    shutil.rmtree(store.local / done.path)
    at = ("--store", store.root)
    with signalled(14):
        assert famulus("extend", parent.id, "--inputs", "+320", *at).code == 130
    child = store.find("last")
    shutil.rmtree(store.local / parent.path)
    assert famulus("resume", child.id, *at).code == 0  # from its own checkpoint
    assert child.done()["inputs"] == 640
    shutil.rmtree(store.local / child.path / "checkpoints")
    (store.local / child.path / "done.json").unlink()
    complains(famulus("resume", child.id, *at), 4, parent.id, "is gone")
    assert famulus("run", folder / "tiny.yaml", *ONE, *at).code == 0
    assert parent.done()["status"] == "finished"


def test_pages_of_what_is_gone_go_and_no_others(removed):
    _, store, parent, child = removed
    pages = store.local / "journal/tiny/runs"
    page = f"{parent.slug}-{parent.id}.html"
    (pages / "mine.html").write_text("a stranger's")
    assert (pages / page).exists()
    assert famulus("journal", "--store", store.root).code == 0
    names = sorted(p.name for p in pages.iterdir())
    assert names == sorted([f"{child.slug}-{child.id}.html", "mine.html"])
    assert parent.id in (store.local / "journal/tiny/index.html").read_text()
    # a whole experiment
    shutil.rmtree(store.local / "tiny")
    assert famulus("journal", "--store", store.root).code == 0
    left = [p for p in (store.local / "journal").rglob("*") if p.is_file()]
    assert sorted(p.name for p in left) == sorted([LIST, "index.html", "mine.html"])


def test_a_page_that_somebody_changed_is_theirs(removed):
    _, store, parent, _ = removed
    page = store.local / f"journal/tiny/runs/{parent.slug}-{parent.id}.html"
    page.write_text("with my own words")
    assert famulus("journal", "--store", store.root).code == 0
    assert page.read_text() == "with my own words"


def test_a_list_does_not_lead_out_of_its_folder(removed):
    folder, store, _, _ = removed
    file = store.local / "journal" / LIST
    text = file.read_text()
    victim = folder / "victim.txt"
    victim.write_text("x")
    digest = hashlib.sha256(b"x").hexdigest()
    planted = f'"tiny": {{"../../victim.txt": "{digest}", "{victim}": "{digest}",'
    file.write_text(text.replace('"tiny": {', planted, 1))
    assert planted in file.read_text()
    assert famulus("journal", "--store", store.root).code == 0
    assert victim.read_text() == "x"
