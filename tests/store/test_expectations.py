"""Expectations are dated by their first appearance, and what was withdrawn after a result stays."""

from famulus.store.expectations import dated

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


def test_before_any_result_anything_may_be_changed():
    before = dated([], [A], [], "monday")
    assert said(dated(before, [B], [], "tuesday")) == [(0.05, "tuesday", [], None)]
