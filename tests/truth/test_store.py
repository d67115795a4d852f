"""The store: nothing vanishes in silence, reading writes nothing, and commands do what they say."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from famulus.store.claims import claim
from tests.launch.tiny import famulus, signalled, tree
from tests.truth.shop import Play, Shop, inside

DOCS = [*sorted((Path(__file__).parents[2] / "docs").rglob("*.md")),
        Path(__file__).parents[2] / "README.md"]  # fmt: skip
RATES = {"matrix": {"lr": [0.001, 0.003]}, "training__optimizer__lr": "${matrix.lr}"}


# -- what is removed -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orphaned(tmp_path_factory):
    """Two cells; the first one's run was removed by hand after a child had gone on from it."""
    shop = Shop(tmp_path_factory.mktemp("orphaned"))
    path = shop.write(**RATES)
    shop.do("run", path)
    parent = next(run for run in shop.runs() if "0.001" in run.slug)
    more = ("--set", "training.optimizer.lr=0.01", "--set", "training.inputs=320")
    child = shop.do("resume", parent.id, *more, "--json").json()["cells"][0]["id"]
    shop.journal()
    shutil.rmtree(shop.root / parent.path)
    return shop, path, parent, shop.store.find(child)


def test_the_child_of_a_removed_run_stays_in_the_table(orphaned):
    shop, _, parent, child = orphaned
    rows = shop.compare("tiny", "-i", "run")["rows"]
    runs = ", ".join(str(row["run"]) for row in rows)
    assert child.id in runs, runs
    assert parent.id not in runs
    assert any(child.id in row.href for row in shop.entry().rows)


def test_the_page_of_a_removed_run_goes_and_its_childs_stays(orphaned):
    shop, _, parent, child = orphaned
    pages = [p.name for p in (shop.journal() / "tiny").rglob("*.html")]
    assert not [name for name in pages if parent.id in name], pages
    assert [name for name in pages if child.id in name]
    kept = "".join(p.read_text() for p in (shop.root / "journal/tiny").glob("index.*"))
    links = re.findall(r"runs/[^\")\s]+?\.html", kept)
    assert links
    for link in links:
        assert (shop.root / "journal/tiny" / link).exists(), f"{link} leads nowhere"


def test_the_next_run_does_not_train_the_child_again(orphaned, tmp_path):
    source, path, _, child = orphaned
    shop = Shop(tmp_path)
    shutil.copytree(source.root, shop.root)

    def files():
        return {n: v for n, v in tree(shop.root / "tiny").items() if child.id in n}

    before = files()
    shop.play(path, Play({"loss": 0.3}))
    assert before
    assert files() == before


def test_pages_of_an_experiment_that_is_gone_go(shop):
    for name in ("one", "two"):
        shop.play(shop.write().rename(shop.files / f"{name}.yaml"), Play({"loss": 0.3}))
    shop.journal()
    shutil.rmtree(shop.root / "one")
    folder = shop.journal()
    assert not (folder / "one" / "index.html").exists()
    assert (folder / "two" / "index.html").exists()
    assert "one/" not in (folder / "index.html").read_text()


def test_a_persons_file_among_the_pages_stays(shop):
    """Pages that the journal wrote go; it removes nothing else."""
    shop.play(shop.write(), Play({"loss": 0.3}))
    folder = shop.journal()
    (folder / "tiny" / "own notes.html").write_text("mine")
    (folder / "mine.html").write_text("mine")
    shutil.rmtree(shop.root / shop.runs()[0].path)
    shop.journal()
    assert (folder / "tiny" / "own notes.html").exists()
    assert (folder / "mine.html").exists()


# -- where the newest weights are ------------------------------------------------------------------


def test_after_a_takeover_the_manifest_names_the_weights(shop):
    path = shop.write()
    with signalled(3):
        shop.do("run", path, code=130)
    shop.do("run", path)
    run = shop.runs()[0]
    step = run.step_of("last")
    files = run.manifest(step)["files"]
    folder = shop.root / run.path / "checkpoints" / str(step)
    assert any("model" in name for name in files)
    # what the manifest says is what a person finds: a file of that name, or one that it names
    for name, entry in files.items():
        stored = entry.get("file") or entry.get("path") or name
        assert (folder / stored).exists(), f"{stored} of {sorted(os.listdir(folder))}"
    assert run.open_checkpoint(step).read("model.safetensors")


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.stem)
def test_no_page_of_the_docs_names_a_path_to_weights(page):
    """They are read by the manifest; `model.safetensors` is a name there, not always a file."""
    for line in page.read_text(encoding="utf-8").splitlines():
        path = re.search(r"checkpoints/", line)
        assert not (path and "model.safetensors" in line[path.start() :]), line


def test_the_docs_say_that_the_manifest_names_the_file():
    text = next(p for p in DOCS if p.name == "store.md").read_text(encoding="utf-8")
    assert re.search(r"(?is)manifest[^.]{0,80}\bname|\bname[^.]{0,80}manifest", text)


# -- status ----------------------------------------------------------------------------------------


def test_status_of_a_run_whose_last_attempt_died_early_shows_its_checkpoint(shop):
    path = shop.write(training__inputs=320)
    with signalled(6):
        shop.do("run", path, code=130)
    run = shop.runs()[0]
    reached = run.manifest(run.step_of("last"))
    saved = run.open_checkpoint(run.step_of("last")).state["progress"]["inputs"]
    assert reached
    assert saved >= 128
    claim(run).end("interrupted")  # without a single event
    row = shop.status()[0]
    assert row["status"] == "interrupted"
    assert row["inputs"] == saved
    assert re.search(rf"\b{saved}\b", shop.do("status").out)


def test_status_of_an_attempt_that_saved_nothing_yet_goes_by_the_checkpoint_too(shop):
    """Killed, not ended: the record of the attempt is all that there is of it."""
    path = shop.write(training__inputs=320)
    with signalled(6):
        shop.do("run", path, code=130)
    run = shop.runs()[0]
    saved = run.open_checkpoint(run.step_of("last")).state["progress"]["inputs"]
    attempt = claim(run)
    attempt.close()
    record = shop.root / run.path / "attempts" / f"{attempt.n}.json"
    known = json.loads(record.read_text())
    process = dict(known.get("process") or {}, pid=2**22 + 1)
    record.write_text(json.dumps(known | {"process": process}))
    for end in (shop.root / run.path / "attempts").glob(f"{attempt.n}.end"):
        end.unlink()
    assert shop.status()[0]["inputs"] == saved


READERS = [("status",), ("status", "--json"), ("compare", "x"), ("diagnose", "last"),
           ("forecast",)]  # fmt: skip


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_reading_where_nothing_is_makes_nothing(tmp_path, words, monkeypatch):
    monkeypatch.delenv("FAMULUS_STORE", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    with inside(empty):
        famulus(*words)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("compare", "tiny"),
                                   ("diagnose", "last"), ("forecast",)], ids=" ".join)  # fmt: skip
def test_reading_never_writes_into_a_store(orphaned, words):
    shop, *_ = orphaned
    before = tree(shop.root), sorted(str(p) for p in shop.root.rglob("*"))
    famulus(*words, "--store", shop.root)
    assert (tree(shop.root), sorted(str(p) for p in shop.root.rglob("*"))) == before


# -- the first file --------------------------------------------------------------------------------


def test_what_status_suggests_works_in_a_fresh_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("FAMULUS_STORE", raising=False)
    with inside(tmp_path):
        said = famulus("status")
        suggested = re.search(r"famulus (new [^,;]+)", said.out + said.err)
        assert suggested, said
        made = famulus(*suggested[1].split())
        assert made.code == 0, made.err
        out = Path(suggested[1].split()[-1])
        assert out.is_file()


def test_new_makes_the_folders_of_its_file(tmp_path):
    with inside(tmp_path):
        assert famulus("new", "tiles", "-o", "deep/er/first.yaml").code == 0
        assert Path("deep/er/first.yaml").is_file()
        again = famulus("new", "tiles", "-o", "deep/er/first.yaml")
        assert again.code == 2, "a file that is there is never overwritten"
