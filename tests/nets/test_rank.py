"""Effective rank against closed forms: equal values, one value, a geometric series."""

import math

import pytest
import torch

from famulus.nets.rank import effective_rank


def values(*given):
    return torch.tensor(given, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_equal_values_are_counted_whatever_their_scale(scale):
    assert effective_rank(scale * torch.ones(7, dtype=torch.float64)) == pytest.approx(7)
    assert effective_rank(scale * values(1, 1, 0, 0, 0)) == pytest.approx(2)  # 0 log 0 is 0
    assert effective_rank(scale * values(3)) == 1


def test_two_values_by_hand():
    """Shares 3/4 and 1/4: exp(H) = 4 / 3^(3/4); unlike the count, it knows that one is small."""
    assert effective_rank(values(3, 1)) == pytest.approx(4 / 3**0.75)
    assert effective_rank(values(1, 1e-12)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
def test_a_geometric_series(q):
    """Shares (1 - q) q^k: H = -log(1 - q) - q log(q) / (1 - q)."""
    series = q ** torch.arange(2000, dtype=torch.float64)
    expected = math.exp(-math.log(1 - q) - q * math.log(q) / (1 - q))
    assert effective_rank(series) == pytest.approx(expected, rel=1e-9)


def test_nothing_at_all_has_no_rank():
    assert math.isnan(effective_rank(torch.zeros(3)))
