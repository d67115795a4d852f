"""`famulus.experiment`: the file as keywords, against the file."""

import numpy as np
import pytest

from famulus import Lab, experiment
from famulus.api import ConfigError
from famulus.config.yaml import load
from famulus.lab.experiment import PLACE
from famulus.launch.actions import read_plan
from tests.launch.tiny import TEXT, famulus, write


def keywords(**more):
    return {**load(TEXT).value, **more}


def test_keywords_are_the_file(tmp_path):
    made = experiment(**keywords())
    filed = read_plan(write(tmp_path), (), ())
    assert [cell.config for cell in made.plan.cells] == [cell.config for cell in filed.cells]
    assert load(made.yaml).value == load(TEXT).value
    saved = made.save(tmp_path / "experiments/mine.yaml")
    assert read_plan(saved, (), ()).name == "mine"
    with pytest.raises(ConfigError, match="exists"):
        made.save(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training": {"inputs": 1, "bach": 3}}, r"^training.bach: unknown key"),
        (
            {"data": {"name": "digits", "sizze": 3}},
            r"^data.sizze: unknown key, did you mean 'size'",
        ),
        ({"task": "tilse"}, r"^task: no task is named 'tilse'"),
        ({"matrx": {}}, r"^matrx: unknown key"),
        ({"training": {"inputs": 1, "optimizer": {"name": "adamm"}}}, r"^training.optimizer"),
        ({"model": {"code": "eight"}}, r"^model.code: expected an integer"),
        ({"model": {"code": object()}}, r"^model.code: expected a plain value, received object"),
        ({"name": "a b"}, r"^name: "),
    ],
)
def test_a_mistake_names_its_dotted_path(change, words):
    with pytest.raises(ConfigError, match=words) as error:
        experiment(**keywords(**change))
    assert "\n" not in str(error.value)


def test_values_of_numpy_and_paths_are_plain(tmp_path):
    rates = np.array([1e-3, 3e-3])
    made = experiment(**keywords(matrix={"lr": rates}, replicates=np.int64(1)))
    assert load(made.yaml).value["matrix"] == {"lr": [0.001, 0.003]}
    made = experiment(**keywords(data={"name": tmp_path}))
    assert load(made.yaml).value["data"] == {"name": str(tmp_path)}


def test_it_runs_as_its_file_does(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    made = experiment(**keywords(name="mine", matrix={"lr": [0.001]}))
    (run,) = made.run(tmp_path / "runs")
    (filed,) = Lab(tmp_path / "other").run(write(tmp_path), set={"matrix.lr": [0.001]})
    assert (run.experiment, run.id) == ("mine", filed.id)
    assert run._run.weights("last") == filed._run.weights("last")
    lab = Lab(tmp_path / "runs")
    assert lab.store.source("mine") == PLACE
    assert PLACE in lab.report("mine").html
    # a changed cell of a notebook is a newer version of the same experiment
    assert len(experiment(**keywords(name="mine")).run(tmp_path / "runs")) == 2
    with pytest.raises(ConfigError, match=r"^name: .* needs one"):
        experiment(**keywords()).run(tmp_path / "runs")


def test_it_never_takes_the_place_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = ("--set", "matrix.lr=[0.001]", "--store", tmp_path / "runs", "--no-journal")
    assert famulus("run", write(tmp_path, name="mine"), *words).code == 0
    with pytest.raises(ConfigError, match=r"mine.*is that of"):
        experiment(**keywords(name="mine")).run(tmp_path / "runs")
