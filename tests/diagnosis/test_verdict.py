"""Root causes first, their consequences under them; controls speak beside the rules."""

from dataclasses import replace

import pytest

from famulus.diagnosis.causes import EXPLAINS
from famulus.diagnosis.history import Finding, from_events
from famulus.diagnosis.learning import of_history
from famulus.diagnosis.verdict import arranged, causes, diagnose, healthy

CONFIG = {"training": {"optimizer": {"name": "adam", "lr": 0.01}}}
CONTROL = {"kind": "control", "name": "zeroed input", "text": "loss .30 with zeros, .30 without",
           "remedy": "look at data.name", "cause": "input-unused"}  # fmt: skip


def finding(cause, severity="warning", explains=()):
    return Finding(cause, severity, "figures", "remedy", consequences=explains)


def placed(found):
    return [(f.cause, f.under) for f in arranged(found)]


def trained(last, first=0.5, events=()):
    """A loss that bends from `first` to `last`, and wavers."""
    steps = range(1, 17)
    line = [
        {"kind": "train", "step": n, "inputs": 64 * n, "lr": 0.01, "wait": 0.0,
         "values": {"total": last + (first - last) * 0.5**n + 0.002 * (n % 2)}}
        for n in steps
    ]  # fmt: skip
    return from_events(CONFIG, [*line, *events])


def test_consequences_stand_under_the_root_through_others():
    found = [finding("c", "error"), finding("b", explains=("c",)), finding("a", explains=("b",))]
    assert placed(found) == [("a", ""), ("b", "a"), ("c", "a")]


def test_roots_stand_in_order_of_severity():
    found = [finding("x", "info"), finding("y", "warning"), finding("z", "error")]
    assert placed(found) == [("z", ""), ("y", ""), ("x", "")]


def test_among_equals_what_explains_most_stands_first_then_what_shows_first():
    """Not the first by alphabet."""
    late, early = replace(finding("a"), step=90), replace(finding("b"), step=2)
    root = finding("z", explains=("c",))
    assert placed([late, early, root, finding("c")]) == [
        ("z", ""), ("c", "z"), ("b", ""), ("a", "")
    ]  # fmt: skip


def test_a_net_that_hears_nothing_predicts_the_mean_and_not_the_other_way_round():
    """A control that found it exactly claims the score; one that did not is explained by it."""
    score = replace(finding("predicts-the-mean", "error"), step=2)
    deaf = finding("input-unused", "error", explains=("predicts-the-mean", "cannot-overfit"))
    assert placed([score, deaf]) == [("input-unused", ""), ("predicts-the-mean", "input-unused")]
    hardly = finding("input-unused", "error")
    assert placed([score, hardly]) == [
        ("predicts-the-mean", ""), ("input-unused", "predicts-the-mean")
    ]  # fmt: skip
    dead = finding("dead-units", "error", explains=("input-unused",))
    assert placed([deaf, dead, score])[0] == ("dead-units", "")


def flat(last, floors, **scores):
    """A run of 16 logs that ends in these scores, validated half way and at its end."""
    values = {"loss": last, **scores}
    found = [
        {"kind": "floor", "score": score, "value": value, "means": means}
        for score, value, means in floors
    ]
    found += [
        {"kind": "val", "step": step, "inputs": 64 * step, "values": values} for step in (8, 16)
    ]
    facts = {"auc": {"better": "higher"}}
    return trained(last, first=2.0, events=[*found, {"kind": "facts", "scores": facts}])


@pytest.mark.parametrize("loss", [0.5, 0.505, 0.6, 0.9, 3.0])
def test_a_run_that_has_learned_nothing_has_a_finding_that_says_so(loss):
    """Whether its score is the baseline's or far worse, and however far the training loss fell."""
    history = flat(loss, [("loss", 0.5, "best constant")])
    assert of_history(history).verdict is False
    found = diagnose(history)
    assert not healthy(found)
    assert found[0].cause in ("predicts-the-mean", "cannot-tell")
    assert f"{loss:g}" in found[0].evidence


def test_a_run_that_has_learned_by_one_score_is_not_said_to_predict_the_mean():
    floors = [("loss", 0.5, "best constant"), ("auc", 0.5, "chance")]
    history = flat(0.505, floors, auc=0.8)
    assert of_history(history).verdict is True
    assert {"predicts-the-mean", "cannot-tell"}.isdisjoint(f.cause for f in diagnose(history))
    for auc in (0.5, 0.6):  # of no more than a hundred samples: chance may do that
        blind = flat(0.505, floors, auc=auc)
        assert diagnose(blind)[0].cause == "predicts-the-mean"
    assert "no other score is clearly better" in diagnose(blind)[0].evidence


def test_two_figures_that_differ_look_different():
    """0.365 beside 0.365 says nothing."""
    text = diagnose(flat(0.36504, [("loss", 0.36501, "best constant")]))[0].evidence
    assert "0.36504" in text
    assert "0.36501" in text


def test_a_control_s_settings_are_those_of_the_finding():
    changes = [{"path": "training.optimizer.lr", "value": 0.1}]
    event = CONTROL | {"verdict": "failed", "changes": changes}
    (found,) = diagnose(trained(0.1, events=[event]))
    assert found.event()["changes"] == ({"path": "training.optimizer.lr", "value": 0.1},)
    assert diagnose(trained(0.1, events=[CONTROL | {"verdict": "failed"}]))[0].changes == ()


def test_a_circle_is_opened_at_its_gravest():
    found = [finding("a", "warning", ("b",)), finding("b", "error", ("a",))]
    assert placed(found) == [("b", ""), ("a", "b")]


def test_nothing_is_lost_and_nothing_doubled():
    names = sorted(causes())
    found = arranged([finding(name) for name in names])
    assert sorted(f.cause for f in found) == names


def test_only_known_causes_explain_known_causes():
    known = causes()
    assert set(EXPLAINS) | {c for row in EXPLAINS.values() for c in row} <= set(known)
    assert all(cause not in row for cause, row in EXPLAINS.items())


@pytest.mark.parametrize(("verdict", "severity"), [("failed", "error"), ("warning", "warning")])
def test_a_control_with_a_cause_is_a_finding(verdict, severity):
    found = diagnose(trained(0.2, events=[CONTROL | {"verdict": verdict}]))
    assert [(f.cause, f.severity) for f in found] == [("input-unused", severity)]
    assert "with zeros" in found[0].evidence
    assert found[0].remedy == "look at data.name"
    assert not healthy(found)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_agree_the_graver_one_speaks(order):
    """One finding a cause: its severity and remedy are the graver one's, evidence is of both."""
    mild = CONTROL | {"verdict": "warning", "name": "mild", "text": "a hint", "remedy": "wait"}
    events = [mild, CONTROL | {"verdict": "failed"}][::order]
    (found,) = diagnose(trained(0.2, events=events))
    assert (found.severity, found.remedy) == ("error", "look at data.name")
    assert found.evidence.index("with zeros") < found.evidence.index("a hint")


def test_the_last_word_of_a_control_counts():
    events = [CONTROL | {"verdict": "failed"}, CONTROL | {"verdict": "ok"}]
    assert diagnose(trained(0.2, events=events)) == []


@pytest.mark.parametrize("name", ["overfit one batch", "input", "learning rate"])
@pytest.mark.parametrize(("score", "refuted"), [(0.69, True), (0.71, False)])
def test_a_run_that_has_learned_refutes_a_control_of_a_few_steps(name, score, refuted):
    """By more than three tenths of what a constant scores."""
    at = {"step": 16, "inputs": 1024}
    events = [
        {"kind": "floor", "score": "loss", "value": 1.0, "means": "best constant"},
        {"kind": "val", **at, "values": {"loss": score}},
    ]
    short = CONTROL | {"name": name, "verdict": "failed"}
    found = diagnose(trained(0.2, events=[*events, short]))
    assert [f.cause for f in found] == ([] if refuted else ["input-unused"])
    whole = CONTROL | {"verdict": "failed"}  # of another control: no training speaks against it
    assert diagnose(trained(0.2, events=[*events, whole])) != []


def test_a_loss_that_does_not_fall_and_nobody_knows_why():
    (found,) = diagnose(trained(0.499))
    assert (found.cause, found.severity) == ("cannot-tell", "info")
    assert "0.5004" in found.evidence
    assert healthy([found])


def test_what_is_explained_is_not_beyond_telling():
    found = diagnose(trained(0.499, events=[CONTROL | {"verdict": "failed"}]))
    assert [f.cause for f in found] == ["input-unused"]
