"""Code is called other code only where it is."""

import json
import subprocess

import pytest

from tests.truth import words
from tests.truth.shop import Play, Shop, inside

PLAY = Play({"loss": 0.3})
RATES = {"matrix": {"lr": [0.001, 0.002]}, "training__optimizer__lr": "${matrix.lr}"}


def repository(folder, text: str):
    """A git repository of a person's own with one commit."""
    folder.mkdir(parents=True)
    (folder / "notes.md").write_text(text)
    me = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*me, "commit", "-q", "-m", text)):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    return folder


def told(shop: Shop) -> str:
    """All that the pages say of the two runs, without the figures of provenance."""
    pages = [shop.entry(), shop.index(), *(shop.run_page(run) for run in shop.runs())]
    return "\n".join(f"{page.lead}\n{page.section('lineage')}" for page in pages)


@pytest.fixture
def halves(tmp_path):
    """Runs the two cells of a file one by one, each from a folder."""
    shop = Shop(tmp_path)
    path = shop.write(**RATES)

    def run(first, second):
        for folder, lr in ((first, "0.001"), (second, "0.002")):
            with inside(folder):
                shop.play(path, PLAY, "--set", f"matrix.lr=[{lr}]")
        with inside(second):
            shop.play(path, PLAY)  # both are in the plan now
        assert len(shop.runs()) == 2
        return shop

    return run


def test_two_folders_of_one_installation_run_the_same_code(halves, tmp_path):
    one, other = (repository(tmp_path / name, name) for name in ("one", "other"))
    assert not words.has(words.STALE, told(halves(one, other)))


def test_a_folder_without_a_repository_runs_the_same_code(halves, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    assert not words.has(words.STALE, told(halves(repository(tmp_path / "one", "x"), plain)))


def test_an_edited_note_beside_the_experiments_is_no_other_code(halves, tmp_path):
    folder = repository(tmp_path / "one", "first")
    shop = Shop(tmp_path)
    with inside(folder):
        path = shop.write(**RATES)
        shop.play(path, PLAY, "--set", "matrix.lr=[0.001]")
        (folder / "notes.md").write_text("second")
        shop.play(path, PLAY)
    assert not words.has(words.STALE, told(shop))


def test_code_that_did_change_is_called_so(halves, tmp_path):
    """The proof that the words are looked for where they stand."""
    shop = halves(tmp_path, tmp_path)
    run = shop.runs()[0]
    record = next((shop.root / run.path / "lineage").glob("*.json"))
    known = json.loads(record.read_text())
    known["famulus"]["sha256"] = "0" * 64
    record.write_text(json.dumps(known))
    assert words.has(words.STALE, told(shop))
