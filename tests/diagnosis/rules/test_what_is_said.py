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
    ("rule", "rate"),  # of runs at a rate of .01
    [
        (cannot_tell, "training.optimizer.lr: 0.1"),
        (dead_units, "training.optimizer.lr: 0.001,"),
        (loss_spike, "training.optimizer.lr: 0.0033"),
        (plateau, "training.optimizer.lr=0.1 "),
        (predicts_the_mean, "training.optimizer.lr: 0.00333"),
        (rate_too_high, "training.optimizer.lr: 0.001,"),
        (weights_do_not_move, "training.optimizer.lr: 0.1"),
    ],
)
def test_the_rate_to_try_next(rule, rate):
    assert rate in rule.rule(provoked(rule)).remedy


def test_the_rate_after_a_loss_that_is_no_number():
    mark = {"what": "loss-not-finite", "text": "total = nan", "step": 1}
    history = run([1.0], marks=[mark])
    history.train[0]["lr"] = 0.2  # of a schedule; the config says .01
    assert "training.optimizer.lr: 0.02," in loss_not_finite.rule(history).remedy


def test_ten_times_the_rate_or_the_inputs():
    history = provoked(rate_too_low)
    rate = max(event["lr"] for event in history.train)
    remedy = rate_too_low.rule(history).remedy
    assert f"lr: {10 * rate:.2g}, or {10 * PER_STEP * len(history.train):_} inputs" in remedy


def test_four_times_the_batch():
    assert (
        f"training.batch: {4 * PER_STEP}," in train_eval_gap.rule(provoked(train_eval_gap)).remedy
    )


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
        assert f" {more} more" in evidence
