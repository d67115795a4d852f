"""Expectations are dated by their first appearance, and what was withdrawn after a result stays."""

from famulus.store.claims import claim
from famulus.store.expectations import dated
from famulus.store.store import Store

A, B = {"score": "val/loss", "value": 0.03}, {"score": "val/loss", "value": 0.05}


def said(records):
    return [(r["entry"]["value"], r["time"], r["results"], r.get("withdrawn")) for r in records]


def test_the_first_appearance_counts():
    first = dated([], [A], [], "monday")
    assert said(dated(first, [dict(reversed(A.items()))], ["run"], "friday")) == [
        (0.03, "monday", [], None)
    ]


def test_what_is_changed_after_a_result_is_new_and_the_old_text_stays():
    before = dated([], [A], [], "monday")
    after = dated(before, [B], ["run"], "friday")
    assert said(after) == [(0.05, "friday", ["run"], None), (0.03, "monday", [], "friday")]
    # planned again, it has left since friday; put back, it is the old one
    assert said(dated(after, [B], ["run"], "sunday")) == said(after)
    assert said(dated(after, [A], ["run"], "sunday"))[0] == (0.03, "monday", [], None)


def test_what_was_withdrawn_stays_when_the_results_are_gone():
    after = dated(dated([], [A], [], "monday"), [B], ["run"], "friday")
    assert said(dated(after, [B], [], "sunday")) == said(after)


def test_a_plan_of_other_cells_forgets_no_result(tmp_path):
    """`--set training.inputs=64` plans other runs: those of the whole file were known all the
    same when its expectation was changed."""
    store = Store.open(tmp_path / "runs")
    whole, short = ({"run": {"id": d * 12, "axes": {}, "config": {}}} for d in "ab")
    store.plan("e", "", whole, [A])
    with claim(store.create_run("e", "run", "a" * 12, {"why": "x"})) as attempt:
        attempt.finish({"status": "finished", "scores": {"val/loss": 0.05}})
    for cells in (short, whole):
        store.plan("e", "", cells, [B])
    new, old = store.planned("e")["expect"]
    assert (new["entry"], new["results"]) == (B, ["a" * 12])
    assert (old["entry"], old["results"]) == (A, [])
    assert old["withdrawn"]


def test_before_any_result_anything_may_be_changed():
    before = dated([], [A], [], "monday")
    assert said(dated(before, [B], [], "tuesday")) == [(0.05, "tuesday", [], None)]
