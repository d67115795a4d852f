"""The rules that every task shares: each with the fault, a healthy run, and a near miss."""

import pytest

from famulus.diagnosis.history import from_events
from famulus.diagnosis.rules import loader_bound, loss_not_finite, predicts_the_mean
from famulus.diagnosis.verdict import causes, diagnose

CONFIG = {"training": {"optimizer": {"name": "adam", "lr": 0.01}}}


def history(val, train=0.5, floor=0.3, wait=0.01, marks=(), before=0.4, apart=2):
    events = [{"kind": "floor", "score": "loss", "value": floor, "means": "best constant"}]
    for step in range(apart, 11 * apart, apart):
        at = {"step": step, "inputs": 64 * step}
        events.append({"kind": "train", **at, "values": {"total": train}, "lr": 0.01, "wait": wait})
    for step, value in ((5 * apart, before), (10 * apart, val)):
        at = {"step": step, "inputs": 64 * step}
        events.append({"kind": "val", **at, "values": {"loss": value}})
    events += [{"kind": "mark", "step": 7, "inputs": 448, **mark} for mark in marks]
    return from_events(CONFIG, events)


def test_a_net_at_the_floor_predicts_the_mean():
    found = predicts_the_mean.rule(history(val=0.301, train=0.3, before=0.302))
    assert found.severity == "error"
    assert "0.301" in found.evidence
    assert "0.3" in found.evidence


@pytest.mark.parametrize(
    ("short", "words"),
    [({"before": 0.302, "apart": 1}, "10 steps are not enough"), ({}, "still gets better")],
)
def test_of_a_few_steps_and_of_a_loss_that_falls_nobody_says_so(short, words):
    young = history(val=0.301, train=0.3, **short)
    assert predicts_the_mean.rule(young) is None
    (found,) = diagnose(young)
    assert (found.cause, found.severity) == ("cannot-tell", "info")
    assert words in found.evidence
    assert [(c.path, c.value) for c in found.changes] == [
        ("training.inputs", 10 * young.train[-1]["inputs"])
    ]


@pytest.mark.parametrize(("val", "train"), [(0.2, 0.2), (0.35, 0.01)])
def test_learning_and_memorising_are_something_else(val, train):
    assert predicts_the_mean.rule(history(val=val, train=train)) is None


def test_waiting_for_data_is_named_from_a_quarter_on():
    assert loader_bound.rule(history(val=0.2, wait=0.4)).severity == "warning"
    assert loader_bound.rule(history(val=0.2, wait=0.2)) is None


def test_a_loss_that_is_no_number_is_named_with_its_step():
    mark = {"what": "loss-not-finite", "text": "total = nan in the steps up to 7"}
    found = loss_not_finite.rule(history(val=0.2, marks=[mark]))
    assert found.step == 7
    assert "0.001" in found.remedy
    assert loss_not_finite.rule(history(val=0.2)) is None


def test_a_healthy_run_is_left_in_peace_and_every_cause_has_a_line():
    assert diagnose(history(val=0.2, train=0.19)) == []
    assert {"loader-bound", "loss-not-finite", "predicts-the-mean"} <= causes().keys()
    assert all(causes().values())
