"""The judge of what a net has learned, held against nets whose answers are known."""

import numpy as np
import pytest

from famulus.config.scores import Score
from famulus.diagnosis.history import History
from famulus.diagnosis.learning import kind, learning, of_history, phase

SCORES = {
    "l1": Score(better="lower"),
    "accuracy": Score(better="higher"),
    "auc": Score(better="higher"),
    "prevalence": Score(),
}


def floor(score, value, means="best constant"):
    return {"score": score, "value": value, "means": means}


def test_one_score_that_is_better_is_learning_whatever_the_loss_says():
    """A loss above its constant, and an AUC far from chance: the ranks are known, not the odds."""
    floors = [floor("loss", 0.30), floor("auc", 0.5, "chance")]
    found = learning({"val/loss": 0.33, "val/auc": 0.668}, floors, SCORES)
    assert found.verdict is True
    assert found.best.score == "auc"
    assert found.best.gain == pytest.approx((0.668 - 0.5) / 0.5)


def test_a_net_that_answers_the_constant_has_learned_nothing():
    floors = [floor("loss", 0.30), floor("l1", 0.2), floor("auc", 0.5, "chance")]
    scores = {"val/loss": 0.301, "val/l1": 0.2, "val/auc": 0.5}
    assert learning(scores, floors, SCORES).verdict is False
    # one of them a third better: no longer
    assert learning({**scores, "val/l1": 0.13}, floors, SCORES).verdict is True


def test_what_lies_between_is_not_judged():
    assert learning({"loss": 0.29}, [floor("loss", 0.30)], SCORES).verdict is None
    assert learning({"loss": 0.29}, [], SCORES).verdict is None
    assert learning({"prevalence": 0.1}, [floor("prevalence", 0.3)], SCORES).verdict is None


@pytest.mark.parametrize("samples", [100, 400, 3600])
def test_chance_is_not_taken_for_learning(samples):
    """Of 400 nets that guess among ten classes hardly any is said to have learned."""
    correct = np.random.default_rng(1).binomial(samples, 0.1, 400) / samples
    floors = [floor("accuracy", 0.1, "chance")]
    verdicts = [learning({"accuracy": a}, floors, SCORES, samples).verdict for a in correct]
    assert verdicts.count(True) <= 4  # three sigmas, on one side: 0.1 to 0.3 % of 400
    assert learning({"accuracy": 0.35}, floors, SCORES, samples).verdict is True


def test_the_strongest_constant_counts():
    """Black is a worse guess than the median: beating it is no learning."""
    floors = [floor("l1", 0.5, "an output of zero"), floor("l1", 0.2)]
    assert learning({"l1": 0.201}, floors, SCORES).verdict is False
    above = [floor("accuracy", 0.1, "chance"), floor("accuracy", 0.6, "commonest class")]
    assert learning({"accuracy": 0.6}, above, SCORES, 1000).verdict is False


def test_a_loss_below_zero_is_better_the_lower_it_is():
    """Of a density's log: -0.2 for the constant, -0.9 for a net that knows more."""
    assert learning({"loss": -0.9}, [floor("loss", -0.2)], SCORES).verdict is True
    assert learning({"loss": 0.4}, [floor("loss", -0.2)], SCORES).verdict is False


@pytest.mark.parametrize(
    ("steps", "before", "wanted"),
    [(15, 0.7, None), (16, 0.7, False), (16, 0.76, None), (16, 0.71, False), (15, None, None),
     (None, None, False)],
)  # fmt: skip
def test_nobody_says_too_early_that_nothing_is_learned(steps, before, wanted):
    """With few steps, or where the score of half way was worse by a twentieth of the baseline."""
    then = {} if before is None else {"val/loss": before}
    found = learning({"loss": 0.7}, [floor("loss", 0.7)], SCORES, before=then, steps=steps)
    assert found.verdict is wanted
    assert found.gained(0.1) is wanted
    better = learning({"loss": 0.3}, [floor("loss", 0.7)], SCORES, before=then, steps=steps)
    assert better.verdict is True
    assert better.gained(0.1) is True


def test_hits_below_chance_are_no_way_that_was_gone():
    """From .08 to .16 where a guess has .17: a constant answer that moved, and no progress."""
    floors = [floor("accuracy", 1 / 6, "chance"), floor("loss", 0.69)]
    now, then = {"accuracy": 0.16, "loss": 0.695}, {"accuracy": 0.08, "loss": 0.695}
    assert learning(now, floors, SCORES, 360, before=then, steps=240).verdict is False
    now["accuracy"] = 0.24
    assert learning(now, floors, SCORES, 360, before=then, steps=240).verdict is not False


@pytest.mark.parametrize(
    ("steps", "grown", "wanted"),
    [([10, 20], (), (20, 0)), ([5, 9, 20], (), (20, 1)), ([11, 20], (), (20, None)),
     ([20], (), (20, None)), ([10, 20, 30, 40], (20,), (20, 2)), ([10, 20, 40], (25,), (15, None)),
     ([10, 20], (5, 20), (15, 0))],
)  # fmt: skip
def test_the_time_to_learn_begins_with_the_last_layer_that_joined(steps, grown, wanted):
    marks = [{"what": "growth", "step": step} for step in grown]
    assert phase(steps, [*marks, {"what": "lr", "step": 19}]) == wanted


def test_learned_by_heart_is_neither_learned_nor_nothing():
    floors = [floor("loss", 0.69)]
    found = learning({"val/loss": 0.9}, floors, SCORES, trained={"total": 0.1})
    assert found.verdict is False
    assert found.memorised
    assert not learning({"val/loss": 0.9}, floors, SCORES, trained={"total": 0.69}).memorised


@pytest.mark.parametrize(
    ("means", "wanted"),
    [("best constant", "trivial"), ("zero image", "trivial"), ("commonest class", "trivial"),
     ("unigram", "trivial"), ("chance", "trivial"), ("everything in the mask is ink", "trivial"),
     ("raw-pixel kNN", "rival"), ("TKD", "rival"), ("image median", "rival"),
     ("each cube's own level", "rival"), ("best possible", "bound"),
     ("entropy of the targets", "bound"), ("initial loss", "start")],
)  # fmt: skip
def test_every_kind_of_baseline(means, wanted):
    assert kind(means) == wanted


def test_a_history_is_judged_by_its_last_validation():
    val = [{"values": {"loss": 0.7}}, {"values": {"loss": 0.2}}]
    train = [{"values": {"total": 0.1}}]
    history = History({}, train=train, val=val, floors=[floor("loss", 0.69)])
    assert of_history(history).verdict is True
    assert of_history(History({}, val=val[:1], floors=[floor("loss", 0.69)])).verdict is False
    assert of_history(History({})).verdict is None


def test_near_zero_a_log_density_is_measured_in_nats():
    """A thousandth of a nat is a fifth of the constant's -0.005, and nothing learned."""
    floors = [floor("loss", -0.005)]
    assert learning({"loss": -0.006}, floors, SCORES).verdict is False
    assert learning({"loss": -0.6}, floors, SCORES).verdict is True
