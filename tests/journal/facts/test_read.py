"""Events that are not whole cost what they say, and no page."""

from famulus.journal.pages.site import write
from famulus.store.claims import claim
from famulus.store.store import Store


def test_half_a_floor_and_a_finding_without_a_cause(tmp_path):
    store = Store.open(tmp_path / "runs")
    config = {"why": "x", "task": "tiles", "training": {"seed": 0}}
    run = store.create_run("e", "run", "0" * 12, config)
    at = {"step": 4, "inputs": 8}
    with claim(run) as attempt:
        attempt.emit({"kind": "floor", "value": 0.25, **at})
        attempt.emit({"kind": "floor", "value": 0.125, "score": "loss", **at})
        floor = {"score": "loss", "means": "best constant"}
        attempt.emit({"kind": "floor", "value": 0.5, **floor, **at})
        attempt.emit({"kind": "finding", "severity": "warning", "evidence": "strange", **at})
        attempt.emit({"kind": "val", "s": 1.0, "values": {"loss": 0.375}, **at})
        attempt.finish({"status": "finished", "scores": {"val/loss": 0.375}, "inputs": 8})
    pages = {p.name: p.read_text() for p in write(store) if p.suffix == ".html"}
    text = pages["run-000000000000.html"]
    assert "best constant" in text
    assert "strange" in text
