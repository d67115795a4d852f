"""Figures of remedies and evidence that no limit depends on: what to change, and by how much."""

import pytest

from famulus.diagnosis.rules import (
    cannot_tell,
    dead_units,
    loss_not_finite,
    loss_spike,
    plateau,
    predicts_the_mean,
    rate_too_high,
    rate_too_low,
    saturated_units,
    train_eval_gap,
    weights_do_not_move,
)
from tests.diagnosis.rules.limits import LIMITS
from tests.diagnosis.rules.limits.limit import PER_STEP, run
from tests.diagnosis.rules.limits.of_layers import sampled, units, weights


def provoked(rule):
    """The history of its first limit that shows the fault."""
    limit = next(limit for limit in LIMITS if limit.rule is rule)
    return limit.history(limit.faulty)


@pytest.mark.parametrize(
    ("rule", "rates"),  # of runs at a rate of .01
    [
        (cannot_tell, [0.001, 0.1]),  # either way: nothing tells which
        (dead_units, [0.001]),
        (loss_spike, [0.0033]),
        (plateau, [0.1]),
        (predicts_the_mean, [0.001, 0.1]),
        (rate_too_high, [0.01 * 2e-3 / 0.102]),  # from .102 of the weights a step to .002
        (weights_do_not_move, [0.1]),
    ],
)
def test_the_rate_to_try_next(rule, rates):
    found = rule.rule(provoked(rule))
    proposed = [c.value for c in found.changes if c.path == "training.optimizer.lr"]
    assert proposed == pytest.approx(rates, rel=0.06)  # two digits are shown
    assert all(f"{rate!r}" in found.remedy for rate in proposed)


def test_the_rate_after_a_loss_that_is_no_number():
    mark = {"what": "loss-not-finite", "text": "total = nan", "step": 1}
    history = run([1.0], marks=[mark])
    history.train[0]["lr"] = 0.2  # of a scheduler; the config says .01
    found = loss_not_finite.rule(history)
    assert "at a learning rate of 0.2" in found.evidence
    assert "training.optimizer.lr: 0.02;" in found.remedy


def test_ten_times_the_rate_or_the_samples():
    history = provoked(rate_too_low)
    rate = max(event["lr"] for event in history.train)
    changes = {c.path: c.value for c in rate_too_low.rule(history).changes}
    assert changes["training.optimizer.lr"] == pytest.approx(10 * rate, rel=0.06)
    assert changes["training.inputs"] == 10 * PER_STEP * len(history.train)


def test_the_same_in_passes_where_the_file_counts_them():
    history = provoked(rate_too_low)
    history.config["training"]["epochs"] = 3
    changes = {c.path: c.value for c in rate_too_low.rule(history).changes}
    assert changes["training.epochs"] == 30
    assert "training.inputs" not in changes


def test_four_times_the_batch():
    found = train_eval_gap.rule(provoked(train_eval_gap))
    assert f"training.batch: {4 * PER_STEP};" in found.remedy


@pytest.mark.parametrize(
    ("rule", "layer"),
    [
        (dead_units, lambda n: units("ReLU", name=str(n), dead=0.9, zeros=0.9)),
        (saturated_units, lambda n: units("Tanh", name=str(n), saturated=0.9)),
        (weights_do_not_move, lambda n: weights(str(n), moved=False, held=True)),
    ],
)
@pytest.mark.parametrize("more", [0, 1, 2])
def test_other_layers_with_the_same_fault_are_counted(rule, layer, more):
    layers = [layer(n) for n in range(1 + more)] + [weights("last", moved=True)]
    evidence = rule.rule(sampled([layers] * 3)).evidence
    assert ("more" in evidence) == bool(more)
    if more:
        assert f" {more} more layer{'s' * (more > 1)}" in evidence
