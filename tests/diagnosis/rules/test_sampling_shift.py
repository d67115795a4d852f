"""Cubes around edges only: the fault, the healthy ways to draw them, and near misses."""

import pytest

from famulus.diagnosis.history import from_events
from famulus.diagnosis.rules import sampling_shift


def history(data, predicted=(0.20, 0.18, 0.19), true=0.116):
    events = [
        {"kind": "val", "step": 10 * i, "inputs": 80 * i,
         "values": {"loss": 0.3, "predicted prevalence": p, "prevalence": true}}
        for i, p in enumerate(predicted, 1)
    ]  # fmt: skip
    return from_events({"data": data}, events)


def test_edges_alone_make_the_net_find_too_much():
    found = sampling_shift.rule(history({"edges": 1.0, "weighted": True}))
    assert found.cause == "sampling-shift"
    assert "0.190 where the true one is 0.116" in found.evidence
    assert found.remedy.startswith("data.edges: 0.5 (")
    unweighted = sampling_shift.rule(history({"edges": 0.5, "weighted": False}))
    assert unweighted.remedy.startswith("data.weighted: true (")


@pytest.mark.parametrize(
    "data", [{}, {"edges": 0.0}, {"edges": 0.5, "weighted": True}, {"edges": 0.5}]
)
def test_even_or_weighted_sampling_is_left_in_peace(data):
    assert sampling_shift.rule(history(data)) is None


@pytest.mark.parametrize(
    ("predicted", "true"),
    [((0.2, 0.12, 0.2), 0.116), ((0.2, 0.2), 0.116), ((0.2, 0.2, 0.2), 0.0), ((0.15,) * 3, 0.116)],
)
def test_one_peak_or_few_validations_are_no_verdict(predicted, true):
    assert sampling_shift.rule(history({"edges": 1.0}, predicted, true)) is None
