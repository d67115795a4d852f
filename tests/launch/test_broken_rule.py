"""A rule that breaks says so on the curve; the run that it judged is finished all the same."""

from famulus.diagnosis.rules import predicts_the_mean
from famulus.store.store import Store
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
