"""Two files never write over each other's plan; one that was moved goes on with its own."""

import pytest

from famulus.launch.naming import judged
from famulus.store.store import Store
from tests.launch.tiny import ONE, TEXT, complains, famulus, tree, write

FEW = (*ONE, "--no-journal")
OTHER = TEXT.replace("batch: 32", "batch: 16")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    return tmp_path


def other(folder, name, text=OTHER):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("experiments/tiny.yaml", "experiments/tiny.yml"),
        ("a/tiny.yaml", "b/tiny.yaml"),
        ("experiments/tiny.yaml", "experiments/named.yaml"),
    ],
)
def test_the_second_file_of_a_name_is_refused(folder, first, second):
    one = other(folder, first, TEXT)
    assert famulus("run", one, *FEW).code == 0
    named = OTHER if "named" not in second else f"name: tiny\n{OTHER}"
    two = other(folder, second, named)
    before = tree(folder / "runs")
    complains(famulus("run", two, *FEW), 2, second, "'tiny'", first.rpartition("/")[2], "name:")
    complains(famulus("check", two, *ONE), 2, first.rpartition("/")[2])
    assert tree(folder / "runs") == before
    assert famulus("run", one, "--set", "training.batch=64", *FEW).code == 0  # its own goes on
    one.rename(folder / "moved-away.yaml")
    assert famulus("run", two, *FEW).code == 0
    assert Store.open("runs").planned("tiny")["text"] == named


def test_a_name_of_its_own_keeps_them_apart(folder):
    one = other(folder, "experiments/tiny.yaml", TEXT)
    two = other(folder, "experiments/tiny.yml", f"name: second\n{OTHER}")
    assert [famulus("run", one, *FEW).code, famulus("run", two, *FEW).code] == [0, 0]
    assert Store.open("runs").experiments() == ["second", "tiny"]
    assert famulus("journal", two).code == 0
    assert (folder / "runs/journal/second/index.html").exists()
    one.write_text(f"name: third\n{TEXT}")  # the first gave its name up
    two.write_text(OTHER.replace("why:", "name: tiny\nwhy:"))
    assert famulus("run", two, *FEW).code == 0


def test_the_same_text_in_two_places_is_one_experiment(folder):
    assert famulus("run", other(folder, "a/tiny.yaml", TEXT), *FEW).code == 0
    said = famulus("run", other(folder, "b/tiny.yaml", TEXT), *FEW, "--json")
    assert said.code == 0
    assert [cell["status"] for cell in said.json()["cells"]] == ["finished"]
    assert len(Store.open("runs").runs()) == 1


@pytest.mark.parametrize(
    "words", [["run"], ["check"], ["manifest", "--for", "argo", "--image", "i"]]
)
@pytest.mark.parametrize("name", ["a b", "journal", "Lab"])
def test_a_name_is_refused_before_data_are_opened(folder, monkeypatch, words, name):
    def opened(self):
        raise AssertionError("data were opened")

    monkeypatch.setattr("famulus.tasks.tiles.tiles.Tiles.data", opened)
    file = write(folder / "experiments", name=name)
    complains(famulus(words[0], file, *words[1:]), 2, f"{name}.yaml", f"'{name}'", "name:")
    assert not (folder / "runs").exists()


def test_where_case_does_not_count(folder):
    """A file system that folds case, as those of macOS and Windows do."""
    store = Store.open("runs")
    store.plan("Tiny", "why: x\n", {})
    file = write(folder / "experiments")
    plan = type("Plan", (), {"name": "tiny", "text": TEXT})
    assert judged(store, plan, file) == "experiments/tiny.yaml"  # this one tells them apart
    true = store.files.exists
    store.files.exists = lambda path: true(path.replace("tiny", "Tiny"))
    with pytest.raises(Exception, match=r"'tiny'.*'Tiny'.*say name:"):
        judged(store, plan, file)
