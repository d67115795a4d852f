"""A rule that breaks says so on the curve; the run that it judged is finished all the same."""

import json
import statistics

from famulus.diagnosis.controls import ranges
from famulus.diagnosis.rules import predicts_the_mean
from famulus.store.store import Store
from tests.launch.sound import Sound, found
from tests.launch.tiny import ONE, famulus, write


def test_a_broken_rule_does_not_cost_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))

    def broken(history):
        raise KeyError("no such score")

    monkeypatch.setattr(predicts_the_mean, "rule", broken)
    said = famulus("run", write(tmp_path), *ONE, "--store", tmp_path / "runs", "--no-journal")
    (run,) = Store.open(tmp_path / "runs").runs()
    assert said.code == 0
    assert run.done()["status"] == "finished"
    (mark,) = [e for e in run.curve() if e["kind"] == "mark"]
    assert "KeyError: 'no such score'" in mark["text"]


def test_diagnose_names_it_beside_the_findings(tmp_path, monkeypatch):
    """With --json as well, whose list holds findings alone."""
    monkeypatch.setenv("FAMULUS_CACHE", str(tmp_path / "cache"))
    store = "--store", tmp_path / "runs"
    famulus("run", write(tmp_path), *ONE, *store, "--no-journal")
    monkeypatch.setattr(predicts_the_mean, "rule", lambda history: [][0])
    for form in ([], ["--json"]):
        said = famulus("diagnose", "last", *store, *form)
        assert said.code == 0
        assert "rule predicts-the-mean was skipped: IndexError: list index" in said.err
        assert "IndexError" not in said.out
    assert isinstance(json.loads(said.out), list)


def test_a_control_that_breaks_is_named_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(ranges, "ranges", lambda *of: statistics.median([]), raising=True)
    told = found(Sound(), "range", "labels", "validation")
    assert told["range"].verdict == "failed"
    assert told["range"].text == "it broke: StatisticsError: no median for empty data"
    assert {told[name].verdict for name in ("labels", "validation")} == {"ok"}
