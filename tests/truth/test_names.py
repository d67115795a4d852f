"""Names are judged first, alike by all commands, and no two files share a plan."""

import shutil

import pytest

from famulus.feed.source import Splits
from tests.launch.tiny import famulus, tree
from tests.truth.shop import Play, Shop

PLAY = Play({"loss": 0.3})
REFUSED = ["a b", "journal", "lab", "journal/mine", "what?", "x-0123456789ab"]


def placed(shop: Shop, stem: str, **changes):
    """A sound file at experiments/STEM.yaml."""
    path = shop.files / f"{stem}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    return shop.write(**changes).rename(path)


def nothing_in(shop: Shop) -> bool:
    """No plan, no run, no page: at most the store's own version."""
    return not shop.root.exists() or set(tree(shop.root)) <= {"famulus.json"}


@pytest.fixture
def opened(monkeypatch):
    """What was opened as data, as it happens."""
    splits, true = [], Splits.__init__

    def opens(self, *given, **more):
        splits.append(self)
        true(self, *given, **more)

    monkeypatch.setattr(Splits, "__init__", opens)
    return splits


def test_data_that_are_opened_are_seen(shop, opened):  # proof that the tests below can fail
    shop.play(shop.write(), PLAY)
    assert opened


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("command", [("run",), ("check", "--budget", "1")], ids=" ".join)
def test_a_name_that_is_refused_is_refused_first(shop, opened, name, command):
    """As a setting is: exit code 2, one line, before any data are read or anything is trained."""
    path = placed(shop, name)
    said = famulus(*command, path, "--store", shop.root)
    assert said.code == 2, said
    assert said.err.startswith("famulus: ")
    assert said.err.count("\n") == 1
    assert opened == []
    assert nothing_in(shop)
    assert name.split("/")[0] in said.err


def test_the_error_says_how_to_name_it_otherwise(shop):
    path = placed(shop, "a b")
    said = shop.do("run", path, code=2)
    assert "name:" in said.err, said.err


def test_a_name_in_the_file_takes_the_place_of_the_path(shop):
    path = placed(shop, "a b", name="sound")
    shop.do("check", path, "--budget", "1", code=None)
    shop.play(path, PLAY)
    assert shop.store.experiments() == ["sound"]
    assert shop.entry("sound").rows


def test_a_name_in_the_file_is_judged_as_well(shop, opened):
    said = shop.do("run", shop.write(name="journal"), code=2)
    assert "journal" in said.err
    assert opened == []
    assert nothing_in(shop)


def test_an_experiment_may_lie_in_a_folder_below_another_called_journal(shop):
    """Only the store's own folder is taken."""
    shop.play(placed(shop, "tiles/journal"), PLAY)
    assert shop.store.experiments() == ["tiles/journal"]
    assert shop.entry("tiles/journal").rows


def test_pages_may_be_deleted_without_a_run(shop):
    """What the docs say of the folder of pages holds whatever experiments are called."""
    for name in ("journal", "tiny"):
        shop.play(placed(shop, name), PLAY, code=None)
    before = {run.path for run in shop.store.runs()}
    assert before
    shop.journal()
    shutil.rmtree(shop.root / "journal")
    assert {run.path for run in shop.store.runs()} == before


def test_two_files_do_not_overwrite_each_others_plan(shop):
    """`tiny.yaml` and `tiny.yml` would have one name: the second is refused, or has its own."""
    one = shop.write(why="the first")
    shop.play(one, PLAY)
    other = shop.write(suffix=".yml", why="the second", training__batch=16)
    said = shop.play(other, PLAY, code=None)
    assert "the first" in shop.store.planned("tiny")["text"]
    if said.code == 0:
        assert len(shop.store.experiments()) == 2
    else:
        assert said.code == 2
        assert "tiny.yaml" in said.err or ".yml" in said.err


def test_check_sees_that_two_files_would_share_a_plan(shop):
    one = shop.write(why="the first")
    shop.play(one, PLAY)
    other = shop.write(suffix=".yml", why="the second", training__batch=16)
    said = shop.play(other, PLAY, code=None)
    checked = shop.do("check", other, "--budget", "1", code=None)
    assert (checked.code == 2) == (said.code == 2)


def test_a_file_that_was_moved_is_still_the_same(shop, tmp_path):
    """One experiment's file may be edited or lie elsewhere: its plan is its own to replace."""
    shop.play(shop.write(why="the first"), PLAY)
    shop.play(shop.write(why="the second"), PLAY)
    assert "the second" in shop.store.planned("tiny")["text"]
