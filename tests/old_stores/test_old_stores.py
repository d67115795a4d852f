"""A store that an older version left is read, resumed, compared and journaled as before.

`0.1.0/` was made by `make.py` with that version; `expected.json` is what that version read of it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from famulus.journal.facts.numbers import figure
from famulus.journal.facts.read import read_run
from famulus.store.leases import this_process
from famulus.store.store import Store
from tests.launch.tiny import famulus, lost, tree

OLD = Path(__file__).parent / "0.1.0"
EXPECTED = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))
KILLED = "killed/run-c936a2eceb38"


@pytest.fixture
def root(tmp_path, monkeypatch):
    for cache in ("FAMULUS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(cache, str(tmp_path / "cache"))
    shutil.copytree(OLD / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def read(root):
    """As READ of make.py, by run."""
    found = {}
    for run in Store.open(root).runs():
        scores = [e for e in run.events() if e["kind"] == "val"]
        line = [[e["kind"], e["step"]] for e in run.curve() if e["kind"] in ("train", "val")]
        found[run.path] = {
            "id": run.id,
            "status": run.status(),
            "checkpoints": run.checkpoints(),
            "curve": line,
            "scores": scores[-1]["values"] if scores else {},
        }
    return found


def file_of(root, experiment):
    """The experiment's file, as the store keeps it, under its name again."""
    path = root.parent / "experiments" / f"{experiment}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / experiment / "experiment.yaml", path)
    return path


def test_it_is_read_as_it_was(root):
    before = tree(root)
    assert read(root) == EXPECTED["runs"]
    assert famulus("status", "--store", root, "--json").code == 0
    assert not lost(before, tree(root))


def test_a_run_began_when_its_first_attempt_did(root):
    """Also a killed one, which has no end."""
    for run in Store.open(root).runs():
        first = root / run.path / "attempts" / "1.json"
        assert read_run(run).started == json.loads(first.read_text())["time"]


@pytest.mark.parametrize("experiment", ["finished", "two/codes", "two/prior", "extended"])
def test_what_is_finished_has_the_same_id_and_is_not_trained_again(root, experiment):
    before = tree(root)
    assert famulus("run", file_of(root, experiment), "--store", root).code == 0
    assert read(root) == EXPECTED["runs"]
    mended = {
        f"{experiment}/cells.json",
        f"{experiment}/experiment.yaml",
    }  # the plan is stored anew
    assert set(lost(before, tree(root))) <= mended


def test_a_killed_run_goes_on_from_its_checkpoint(root):
    """It ends where the old version ended that nobody killed: to rounding, since the processor may
    be another. The process that died is made one of this machine: others are waited for."""
    attempt = root / KILLED / "attempts/1.json"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    process = this_process() | {"pid": gone.pid}
    attempt.write_text(json.dumps(json.loads(attempt.read_text()) | {"process": process}))
    assert famulus("run", file_of(root, "killed"), "--store", root).code == 0
    found, whole = read(root)[KILLED], EXPECTED["killed_if_whole"][KILLED]
    scores, known = found.pop("scores"), dict(whole).pop("scores")
    assert found == {k: v for k, v in whole.items() if k != "scores"}
    assert {name: scores[name] for name in known} == pytest.approx(known, rel=1e-4, abs=1e-6)
    run = next(r for r in Store.open(root).runs() if r.path == KILLED)
    assert [a["start_from"] for a in run.attempts()] == [None, 4]


def test_a_finished_run_trains_for_longer(root):
    assert famulus("extend", "7e4b8df8cf94", "--inputs", "+128", "--store", root).code == 0
    new = {path: run for path, run in read(root).items() if path not in EXPECTED["runs"]}
    (child,) = new.values()
    known = EXPECTED["runs"]["extended/run-7e4b8df8cf94"]["curve"]
    assert child["curve"][: len(known)] == known
    assert child["curve"][-1] == ["val", 16]


def test_it_is_compared_as_it_was(root):
    found = famulus("compare", "finished", "--store", root, "--json").json()
    known = EXPECTED["compare"]
    assert found["columns"] == known["columns"]
    # 21 was the worst row then, and is the best since
    assert found["rows"] == [row | {"meter": 22 - row["meter"]} for row in known["rows"]]
    sides = famulus("compare", "809822d0e982", "7e4b8df8cf94", "--store", root)
    assert sides.code == 0, sides.err


def test_it_is_journaled(root):
    said = famulus("journal", "--store", root)
    assert said.code == 0, said.err
    for path, run in EXPECTED["runs"].items():
        experiment, _, name = path.rpartition("/")
        page = (root / "journal" / experiment / "runs" / f"{name}.html").read_text()
        assert run["id"] in page, path
        table = (root / "journal" / experiment / "index.md").read_text()
        assert figure(run["scores"]["loss"]) in table, path
