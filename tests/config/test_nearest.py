"""The names that people meant."""

import pytest

from famulus.config.nearest import nearest, suggestion

NAMES = ["batch", "accumulate", "optimizer", "weight_decay", "lr", "seed", "precision"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("batchsize", "batch"),
        ("Batch", "batch"),
        ("optimiser", "optimizer"),
        ("weight-decay", "weight_decay"),
        ("weightdecay", "weight_decay"),
        ("seeds", "seed"),
        ("prec", "precision"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(typed, meant):
    assert nearest(typed, NAMES) == meant


def test_suggestion_lists_what_is_allowed_when_nothing_is_near():
    assert suggestion("zzz", ["b", "a"]) == "expected one of a, b"
    assert suggestion("batches", NAMES) == "did you mean 'batch'?"
    assert suggestion("q", map(str, range(20))).endswith("and 8 more")
    assert suggestion("q", []) == "no name is expected here"
