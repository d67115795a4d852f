"""Whether a net has learned, from its scores beside what a constant gets."""

import pytest

from famulus.config.scores import Score, as_json
from famulus.diagnosis.history import History
from famulus.diagnosis.layers import beats_constant


def history(score, value, floor, means="best constant", **declared):
    floors = [{"score": score, "value": floor, "means": means}]
    val = [{"step": 1, "inputs": 1, "values": {score: value}}]
    facts = {"scores": as_json(declared)} if declared else {}
    return History({}, val=val, floors=floors, facts=facts)


@pytest.mark.parametrize(("value", "found"), [(0.1, True), (0.26, True), (0.28, False), (1, False)])
def test_a_loss_clearly_below_a_constants(value, found):  # .9 of .3
    assert beats_constant(history("loss", value, 0.3), 0.9) is found


def test_of_a_score_that_rises_no_fraction_is_taken():
    """An accuracy of .9 beside a constant's .5 is not `no better`: nothing is said by it."""
    assert beats_constant(history("accuracy", 0.9, 0.5), 0.9) is False  # where nobody declared it
    assert (
        beats_constant(history("accuracy", 0.9, 0.5, accuracy=Score(better="higher")), 0.9) is None
    )
    assert beats_constant(history("accuracy", 0.9, 0.1, "chance"), 0.9) is None
