"""A task from a module of one's own: named on the command line, never imported by a file alone."""

import sys

import pytest

from famulus.store.store import Store
from tests.launch.tiny import ONE, TEXT, complains, famulus, write

TASK = '''\
"""Grey: do tiles keep their scores under another name?

Shapes: as tiles. Source: none.
"""

from pathlib import Path

from famulus.tasks.base import Floor
from famulus.tasks.tiles.tiles import Tiles

Path(__file__).with_suffix(".imported").touch()


class Grey(Tiles):
    def floors(self, data):
        return super().floors(data) | {"of my own": Floor("l1", 0.25, "what I know")}
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder on Python's path with the module `lessons.grey` and a file that names its task."""
    package = tmp_path / "lessons"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "grey.py").write_text(TASK, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "lessons":
            del sys.modules[name]


def test_a_file_alone_never_imports_it(mine):
    for name in ("grey", "lessons.grey"):
        path = write(mine, TEXT.replace("task: tiles", f"task: {name}"))
        said = famulus("run", path, "--store", mine / "runs")
        complains(said, 2, f"no task is named '{name}'")
    assert not (mine / "lessons/grey.imported").exists()


def test_allowed_it_is_trained_and_used(mine):
    path = write(mine, TEXT.replace("task: tiles", "task: grey"))
    given = ("--store", mine / "runs", "--allow-module", "lessons.grey")
    said = famulus("run", path, *given, "--no-journal")
    assert said.code == 0, said.err
    runs = list(Store.open(mine / "runs").runs("tiny"))
    assert len(runs) == 2
    for run in runs:
        floors = [e["means"] for e in run.events() if e["kind"] == "floor"]
        assert "what I know" in floors
    out = mine / "drawn"
    said = famulus("apply", "last", mine, "-o", out, "--option", "sample=2", *given)
    assert said.code == 0, said.err
    assert len(list(out.iterdir())) == 2
    refused = famulus("apply", "last", mine, "-o", out, "--store", mine / "runs")
    complains(refused, 2, "no task is named 'grey'")


def test_a_module_that_is_not_there_or_holds_no_task(mine):
    path = write(mine, TEXT.replace("task: tiles", "task: grey"))
    said = famulus("run", path, "--store", mine / "runs", "--allow-module", "lesson.grey")
    complains(said, 2, "--allow-module lesson.grey", "No module named 'lesson'")
    (mine / "lessons/grey.py").write_text("x = 1\n", encoding="utf-8")
    said = famulus("run", path, "--store", mine / "runs", "--allow-module", "lessons.grey")
    complains(said, 2, "lessons.grey: expected one Task class, received 0")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("Config = dict", ("lessons.grey.Grey.Config: expected a class derived from", "'dict'")),
        ("Config = None", ("lessons.grey.Grey.Config: expected a class derived from", "None")),
        (
            "def data(self): return (1, 2)",
            ("task grey: expected data() to give famulus.api.Splits, received a tuple",),
        ),
        (
            "def facts(self): return ['squares']",
            ("facts: expected famulus.api.Facts, received a list",),
        ),
    ],
)
def test_a_task_of_an_older_version_is_one_clear_line(mine, member, words):
    wrong = TASK.replace("class Grey(Tiles):\n", f"class Grey(Tiles):\n    {member}\n")
    (mine / "lessons/grey.py").write_text(wrong, encoding="utf-8")
    path = write(mine, TEXT.replace("task: tiles", "task: grey"))
    given = ("--store", mine / "runs", "--allow-module", "lessons.grey")
    complains(famulus("run", path, *ONE, *given), 2, *words)


@pytest.mark.parametrize(
    ("declared", "received"),
    [
        ('{"l1": "lower"}', "'l1': 'lower'"),
        ('["l1"]', "['l1']"),
        ("None", "None"),
    ],
)
def test_scores_that_are_none_are_one_clear_line(mine, declared, received):
    wrong = TASK.replace("class Grey(Tiles):\n", f"class Grey(Tiles):\n    SCORES = {declared}\n")
    (mine / "lessons/grey.py").write_text(wrong, encoding="utf-8")
    path = write(mine, TEXT.replace("task: tiles", "task: grey"))
    said = famulus("run", path, "--store", mine / "runs", "--allow-module", "lessons.grey")
    complains(said, 2, "lessons.grey.Grey.SCORES: expected scores by name", received)
