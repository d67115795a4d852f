"""Which names an experiment can have, and where its file says it lies."""

from pathlib import Path

import pytest

from famulus.config.errors import ConfigError
from famulus.config.experiment import read
from famulus.config.names import file_at, file_name, name_of, place_of, problem
from tests.config.test_experiment import TEXT, find_task

TAKEN = (
    "lab Lab lab/x journal JOURNAL journal/x famulus.json index.html a/experiment.yaml a/cells.json"
    " a/cells.threads.json a/source.json a/index.md a/results.csv a/b-0123456789ab a-0123456789ab"
)


@pytest.mark.parametrize("name", [*TAKEN.split(), "a b", "", "a/", "../a", ".a", "-a", "a" * 161])
def test_a_name_that_can_not_be(name):
    assert problem(name)


@pytest.mark.parametrize(
    "name", ["a", "labs", "journals/a", "a/lab", "a/journal", "index", "results", "cells", "a.b/c"]
)
def test_a_name_beside_it_that_can(name):
    assert problem(name) is None


def plan(text, file, *overrides):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return read(file, overrides, find_task)


def test_the_file_may_name_its_experiment(tmp_path):
    bad = tmp_path / "experiments/a b.yaml"
    with pytest.raises(ConfigError, match=r"a b\.yaml.*'a b'.*say name: in the file"):
        plan(TEXT, bad)
    named = plan(f"name: deep/good\n{TEXT}", bad)
    assert named.name == "deep/good"
    assert file_name(bad) == "deep/good"
    assert plan(TEXT, bad, "name=other").name == "other"
    with pytest.raises(ConfigError, match=r"^--set name=lab/x: name: .*'lab' is the store's own"):
        plan(TEXT, bad, "name=lab/x")
    with pytest.raises(ConfigError, match=r"name: expected text, received 3"):
        plan(f"name: 3\n{TEXT}", bad)


def test_a_name_is_no_part_of_what_is_computed(tmp_path):
    plain = plan(TEXT, tmp_path / "a.yaml")
    named = plan(f"name: b\n{TEXT}", tmp_path / "a.yaml")
    assert [c.config for c in plain.cells] == [c.config for c in named.cells]


def test_a_name_is_judged_before_anything_else(tmp_path):
    def nothing_is_loaded(name):
        raise AssertionError

    (tmp_path / "a b.yaml").write_text("task: tiles\nnonsense: 3\n")
    with pytest.raises(ConfigError, match="a b"):
        read(tmp_path / "a b.yaml", [], nothing_is_loaded)


def test_a_place_has_no_machine_in_it(tmp_path):
    store = tmp_path / "runs"
    under = tmp_path / "p/experiments/tiles/a.yaml"
    assert place_of(under, store) == "experiments/tiles/a.yaml"
    assert file_at("experiments/tiles/a.yml", under, store) == under.with_suffix(".yml")
    beside = tmp_path / "q/a.yaml"
    assert place_of(beside, store) == "../q/a.yaml"
    assert file_at("../q/a.yaml", under, store).resolve() == beside
    assert name_of(beside) == "a"
    assert file_name(beside) == "a"  # also of a file that is not there
    assert not Path(place_of(beside, None)).is_absolute()
