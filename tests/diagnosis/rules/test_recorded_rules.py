"""Rules on layers, data and answers: recorded runs of the casebook, each beside a sound twin."""

import pytest

from famulus.diagnosis.history import History
from famulus.diagnosis.rules import (
    dead_units,
    exploding_gradient,
    features_collapsed,
    labels_differ,
    loader_bound,
    loss_spike,
    loss_unbounded,
    one_degree_of_freedom,
    rate_too_high,
    saturated_units,
    shortcut,
    vanishing_gradient,
    weights_do_not_move,
)
from famulus.diagnosis.verdict import diagnose, healthy
from tests.diagnosis.recorded import recorded

TILES, DEEP, TRANSFER = "tiles-plain-healthy", "tiles-deep-healthy", "transfer-plain-healthy"
CASES = [  # rule, run that shows it, sound twin, words of its evidence
    (weights_do_not_move, "tiles-part-of-the-net", TILES, "the optimizer does not have them"),
    (weights_do_not_move, "tiles-detached", TILES, "no gradient arrives"),
    (dead_units, "tiles-dead-bias", TILES, "100% of the units of layer encoder.1 (ReLU)"),
    (saturated_units, "tiles-saturated", "tiles-tanh-healthy", "(Tanh) lie in its flat part"),
    (vanishing_gradient, "tiles-vanishing", DEEP, "layers before it"),
    (exploding_gradient, "tiles-exploding", DEEP, "times its weights"),
    (rate_too_high, "tiles-rate-too-high", TILES, "at a learning rate of 0.3"),
    (loss_spike, "tiles-damaged-sample", "tiles-memorises-healthy", "such logs"),
    (loader_bound, "tiles-slow-loader", TILES, "goes to waiting for data"),
    (labels_differ, "transfer-labels-renumbered", TRANSFER, "below chance"),
    (loss_unbounded, "transfer-class-ids-as-shares", TRANSFER, "2.0 times as much as in the first"),
    (
        features_collapsed,
        "pretext-only-attraction",
        "pretext-contrastive-healthy",
        "effective rank",
    ),
    (one_degree_of_freedom, "qsm-one-degree-of-freedom", "qsm-random-start-healthy", "200 learned"),
]


@pytest.mark.parametrize(("rule", "broken", "sound", "words"), CASES, ids=lambda v: str(v)[:40])
def test_the_fault_is_named_with_figures_and_the_sound_twin_is_not(rule, broken, sound, words):
    found = rule.rule(recorded(broken))
    assert found.cause == rule.CAUSE
    assert words in found.evidence
    assert any(c.isdigit() for c in found.evidence)
    assert found.remedy
    assert rule.rule(recorded(sound)) is None


@pytest.mark.parametrize("name", sorted({sound for _, _, sound, _ in CASES}))
def test_the_whole_verdict_on_a_sound_run_is_silent(name):
    assert healthy(diagnose(recorded(name)))


@pytest.mark.parametrize(("rule", "broken"), [(rule, broken) for rule, broken, _, _ in CASES])
def test_the_fault_is_the_root_of_what_is_found(rule, broken):
    if rule is not one_degree_of_freedom:  # no fault, and others of its kind stand beside it
        assert diagnose(recorded(broken))[0].cause == rule.CAUSE


def test_a_seam_that_makes_most_of_the_accuracy_is_a_shortcut():
    history = recorded("pretext-eval-gap-healthy")
    assert shortcut.rule(history) is None
    last = history.val[-1]
    seam = {**last["values"], "without_seam": 0.35, "seam_share": 0.83}
    found = shortcut.rule(_with(history, history.config, val=[{**last, "values": seam}]))
    assert "0.35 without seam" in found.evidence
    chance = {**seam, "accuracy": 0.27}
    assert shortcut.rule(_with(history, history.config, val=[{**last, "values": chance}])) is None


def test_units_that_are_alike_without_being_zero_are_not_dead():
    """All inputs are alike: the layer is not at fault."""
    history = recorded("tiles-reads-a-global")
    assert any(
        v["dead"] and v["dead"] > 0.5 for v in history.probes[-1]["layers"] if v["numbers"] == 0
    )
    assert dead_units.rule(history) is None


def test_a_start_that_is_flat_is_told_though_the_rest_of_the_net_learns():
    history = recorded("tiles-saturated")
    assert history.last("loss") < 0.7 * history.floor("loss", "best constant")
    assert saturated_units.rule(history) is not None


def test_parts_that_stand_still_on_purpose_are_no_fault():
    history = recorded("tiles-part-of-the-net")
    frozen = {**history.config, "model": {**history.config["model"], "frozen": 2}}
    assert weights_do_not_move.rule(_with(history, frozen)) is None


def test_a_rate_is_not_blamed_for_a_loss_that_falls():
    """The same large steps, under a loss that gets better all the time."""
    history = recorded("tiles-rate-too-high")
    falling = [
        {**e, "values": {"recon": 0.05 / n, "total": 0.05 / n}}
        for n, e in enumerate(history.train, 1)
    ]
    val = [{**e, "values": {**e["values"], "loss": 0.01}} for e in history.val]
    better = History(history.config, falling, val, history.floors, [], history.facts,
                     history.probes)  # fmt: skip
    assert rate_too_high.rule(better) is None


def test_a_single_spike_is_no_damaged_sample():
    history = recorded("tiles-memorises-healthy")
    events = [dict(e) for e in history.train]
    events[-3] = {**events[-3], "values": {k: 5 * v for k, v in events[-3]["values"].items()}}
    found = loss_spike.rule(_with(history, history.config, train=events))
    assert found.severity == "info"
    assert "such logs" not in found.evidence


def _with(history: History, config, **changed) -> History:
    fields = {
        k: getattr(history, k) for k in ("train", "val", "floors", "marks", "facts", "probes")
    }
    return History(config, **{**fields, **changed})
