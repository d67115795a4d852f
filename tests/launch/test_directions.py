"""A score that rises: nothing stops a run because it improves, and its best is its highest."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from famulus import Monitor
from famulus.api import Score
from famulus.config import experiment
from famulus.config.errors import ConfigError
from famulus.config.scores import from_json
from famulus.journal.facts.read import read_run
from famulus.journal.pages.run_page import _provenance
from famulus.store import layout
from famulus.store.store import Store
from famulus.tasks import scores
from tests.launch.tiny import complains, famulus, write

TEXT = """\
why: is the better rate called the better one?
task: transfer
matrix:
  lr: [0.000001, 0.01]
data: {name: digits, subset: 400, validation: 200}
training:
  inputs: 3_200
  batch: 32
  optimizer: {name: adam, lr: "${matrix.lr}"}
  precision: fp32
  validate_every: {steps: 10}
  checkpoint_every: {steps: 50}
  pictures_every: null
  keep: {best: val/accuracy}
  stop: {score: val/accuracy, patience: 3}
  threads: 1
expect:
  - {score: val/accuracy, where: {lr: 0.01}, value: 0.2, within: 10%}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("directions")
    said = famulus("run", write(folder, TEXT, "rises"), "--store", folder / "runs")
    assert said.code == 0, said.err
    return folder / "runs"


def learned(store):
    """The run whose accuracy rises: its validations by step."""
    run = next(r for r in Store.open(store).runs() if r.slug == "lr=0.01")
    values = {e["step"]: e["values"]["accuracy"] for e in run.events() if e["kind"] == "val"}
    return run, values


def test_its_best_is_its_highest_and_it_is_not_stopped_on_the_way_up(trained):
    run, values = learned(trained)
    first = min(values)
    assert values[max(values)] > values[first] + 0.2  # it did learn: the comparison can fail
    assert run.done()["best"]["value"] == max(values.values())
    assert values[run.step_of("best")] == max(values.values())
    # whoever takes lower for better has its best at the first validation, and stops at the fifth
    assert min(values.values()) == values[first]
    assert len(values) > 5, values
    facts = next(e for e in run.events() if e["kind"] == "facts")
    assert from_json(facts["scores"]) == scores("transfer")
    assert not {"scores", "means"} & {name for name, _ in _provenance(read_run(run))}
    stored = run.config()["training"]
    assert stored["keep"]["direction"] == stored["stop"]["direction"] == "max"


def test_the_page_calls_the_higher_one_best(trained):
    said = (trained / "journal/rises/index.md").read_text()
    assert "Best is **lr 0.01** with a validation accuracy of" in said
    assert "val/accuracy: higher is better" in said
    table = famulus("compare", "rises", "--store", trained, "--json").json()
    runs = Store.open(trained).runs()
    low, high = sorted(max(e["inputs"] for e in r.events() if e["kind"] == "val") for r in runs)
    assert low < high  # one of them stopped early: where, depends on the processor
    lengths = f"were trained for {low:,} to {high:,} samples"
    ranked_by = {"score": "val/accuracy", "better": "higher", "because": "", "lengths": lengths}
    assert table["ranked_by"] == ranked_by
    assert "%), better" in said  # the promise broke to the good side
    page = (trained / "journal/rises/index.html").read_text()
    assert "val/accuracy: higher is better" in page
    assert re.search(r'class="best">.{0,600}0\.01<', page, re.S)
    assert page.count('class="best"') == 1
    meters = {row["lr"]: row["meter"] for row in table["rows"]}
    assert meters == {0.000001: 1, 0.01: 21}


def test_a_direction_that_contradicts_is_refused_with_its_place(tmp_path):
    file = write(tmp_path, TEXT.replace("patience: 3", "direction: min, patience: 3"))
    said = famulus("run", file, "--store", tmp_path / "runs")
    complains(said, 2, "tiny.yaml:15:42", "training.stop.direction", "expected max or no direction")
    assert not (tmp_path / "runs" / "tiny").exists()


def watch(folder, name, scores):
    """Two runs of a loop of one's own; the second is the more accurate."""
    for rate, accuracy in ((0.1, 0.2), (0.2, 0.9)):
        net = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=rate)
        kind = {"settings": {"lr": rate}, "scores": scores, "controls_s": 0}
        with Monitor(net, optimizer, store=str(folder), name=name, **kind) as monitor:
            loss = net(torch.ones(4, 2)).square().mean()
            loss.backward()
            optimizer.step()
            monitor.step(loss)
            monitor.validate({"accuracy": accuracy})
    assert famulus("journal", name, "--store", folder).code == 0
    return (folder / f"journal/{name}/index.md").read_text()


def test_a_watched_loop_says_which_way_its_scores_are_better(tmp_path):
    said = watch(tmp_path / "runs", "told", {"val/accuracy": Score(better="higher")})
    assert "Best is **lr 0.2** with a validation accuracy of **0.900**" in said
    said = watch(tmp_path / "runs", "untold", None)
    assert "not ranked: nobody declared which way val/accuracy is better" in said
    assert "Best is" not in said


def test_what_is_no_score_is_refused():
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match=r"Monitor: scores: .* received 'accuracy': 'higher'"):
        Monitor(net, optimizer, store="memory://none", scores={"accuracy": "higher"})


OLD = TEXT.replace("[0.000001, 0.01]", "[0.01]").replace("patience: 3", "patience: 30")


@pytest.fixture(scope="module")
def wrong_way(tmp_path_factory):
    """A store with a finished run of which `min` was filled in, as 0.1.0 did for any score."""
    folder = tmp_path_factory.mktemp("wrong")

    def as_it_was(training, declared):
        keep = training.keep.model_copy(update={"direction": "min"})
        stop = training.stop.model_copy(update={"direction": "min"})
        return training.model_copy(update={"keep": keep, "stop": stop})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "directed", as_it_was)
        assert famulus("run", write(folder, OLD, "old"), "--store", folder / "runs").code == 0
    return folder


def test_a_finished_run_that_watched_the_wrong_way_is_of_use_as_before(wrong_way):
    store = ("--store", wrong_way / "runs")
    (run,) = Store.open(wrong_way / "runs").runs("old")
    assert run.config()["training"]["keep"]["direction"] == "min"
    said = famulus("rerun", run.id, "--current-code", *store)
    assert said.code == 0, said.err
    said = famulus("extend", run.id, "--inputs", "+320", *store)
    assert said.code == 0, said.err
    children = [r for r in Store.open(wrong_way / "runs").runs("old") if r.id != run.id]
    kinds = {r.config()["origin"]["kind"]: r.config()["training"] for r in children}
    assert kinds["rerun"]["keep"]["direction"] == "min"  # as recorded
    assert kinds["extend"]["keep"]["direction"] == kinds["extend"]["stop"]["direction"] == "max"
    pictures = wrong_way / "pictures"
    pictures.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(pictures / "a.png")
    said = famulus("apply", run.id, pictures, "-o", wrong_way / "out", *store)
    assert said.code == 0, said.err


def test_an_unfinished_one_says_how_to_go_on(wrong_way):
    """It is not stopped because it improves; nor do its settings change under its own name."""
    store = Store.open(wrong_way / "runs")
    run = next(r for r in store.runs("old") if "origin" not in r.config())
    run.files.remove(layout.done(run.path))
    said = famulus("resume", run.id, "--store", wrong_way / "runs")
    line = complains(said, 2, "of val/accuracy, higher is better", f"resume {run.id} --set")
    assert line.rstrip().endswith("--set training.keep.direction=null")
    asked = line.rstrip().rpartition(f"{run.id} ")[2].split()
    more = ("--set", "training.inputs=3_520", "--store", wrong_way / "runs")
    said = famulus("resume", run.id, *asked, *more)
    assert said.code == 0, said.err
