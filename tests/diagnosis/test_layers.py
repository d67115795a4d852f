"""How much of a baseline's error is gone, as rules ask it of a history."""

import pytest

from famulus.config.scores import Score, as_json
from famulus.diagnosis.history import History
from famulus.diagnosis.learning import of_history


def history(score, value, floor, means="best constant", **declared):
    floors = [{"score": score, "value": floor, "means": means}]
    val = [{"step": 100, "inputs": 100, "values": {score: value}}]
    facts = {"scores": as_json(declared)} if declared else {}
    return History({}, val=val, floors=floors, facts=facts)


@pytest.mark.parametrize(
    ("value", "gained"), [(0.1, True), (0.26, True), (0.28, False), (1, False)]
)
def test_more_than_a_tenth_of_a_constants_loss(value, gained):  # of .3
    assert of_history(history("loss", value, 0.3)).gained(0.1) is gained


def test_of_a_fraction_what_it_lacks_to_one_counts():
    accuracy = Score(better="higher")
    assert of_history(history("accuracy", 0.9, 0.5, accuracy=accuracy)).gained(0.7) is True
    assert of_history(history("accuracy", 0.84, 0.5, accuracy=accuracy)).gained(0.7) is False
    assert of_history(history("accuracy", 0.9, 0.5)).gained(0.1) is None  # nobody declared it


def test_a_gain_within_the_noise_of_a_fraction_is_none():
    """Of 100 samples an accuracy of .55 where .5 is chance is one standard error above it."""
    accuracy = Score(better="higher")
    assert of_history(history("accuracy", 0.55, 0.5, accuracy=accuracy)).gained(0.05) is False
