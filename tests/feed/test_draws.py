"""Random numbers of a seed: against the published mixer in whole numbers, and against what their
distributions are."""

import numpy as np
import pytest
import torch
from scipy import stats

from famulus.feed import draws

SEEDS = draws.seeds_of(np.arange(4000, dtype=np.uint64) * 7919 + 2**63)
MASK = 2**64 - 1


def mixed(x):
    """SplitMix64 in Python's own integers."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def test_uniforms_are_the_upper_24_bits_of_the_mixer():
    stream = 5
    numbers = draws.uniforms(SEEDS[:6], stream, 9)
    for row, seed in zip(numbers.tolist(), SEEDS[:6].tolist(), strict=True):
        state = mixed(mixed(seed & MASK) ^ mixed(stream))
        expected = [mixed((state + k * 0x9E3779B97F4A7C15) & MASK) >> 40 for k in range(9)]
        assert row == [bits / 2**24 for bits in expected]


def test_normals_are_normal_and_independent():
    """Of the natural logarithm; neighbours share a radius, which must not show either."""
    numbers = draws.normals(SEEDS, 1, 7).double().numpy()
    assert numbers.shape == (4000, 7)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-4
    broken = numbers * np.sqrt(1 / np.log(2))  # log2 in the place of ln
    assert stats.kstest(broken.ravel(), "norm").pvalue < 1e-9
    between = np.corrcoef(numbers, rowvar=False) - np.eye(7)
    assert np.abs(between).max() < 5 / 4000**0.5
    squares = np.corrcoef(numbers**2, rowvar=False) - np.eye(7)  # of a radius that pairs share
    assert np.abs(squares).max() < 8 / 4000**0.5


@pytest.mark.parametrize("below", [1, 3, 10])
def test_integers_are_even(below):
    numbers = draws.integers(SEEDS, 2, 5, below).flatten()
    counts = torch.bincount(numbers, minlength=below)
    assert len(counts) == below
    assert below == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_all_sets_of_distinct_numbers_are_equally_likely():
    numbers = draws.distinct(SEEDS, 3, 2, 4)
    assert bool((numbers[:, 0] != numbers[:, 1]).all())
    pairs = torch.bincount(numbers[:, 0] * 4 + numbers[:, 1], minlength=16).reshape(4, 4)
    assert stats.chisquare(pairs[~torch.eye(4, dtype=torch.bool)].numpy()).pvalue > 1e-4
    assert draws.distinct(SEEDS[:2], 3, 4, 4).sort(1).values.tolist() == [[0, 1, 2, 3]] * 2
    assert draws.distinct(SEEDS[:2], 3, 0, 4).shape == (2, 0)
    with pytest.raises(ValueError, match="received a need of 5"):
        draws.distinct(SEEDS, 3, 5, 4)


def test_all_orders_are_equally_likely():
    numbers = draws.shuffled(SEEDS, 4, 3)
    assert numbers.sort(1).values.unique(dim=0).tolist() == [[0, 1, 2]]
    counts = torch.bincount(numbers @ torch.tensor([9, 3, 1]), minlength=27)
    assert stats.chisquare(counts[counts > 0].numpy()).pvalue > 1e-4
    assert int((counts > 0).sum()) == 6


def test_a_chance_comes_as_often_as_it_says():
    assert not bool(draws.chances(SEEDS, 5, 0.0).any())
    assert bool(draws.chances(SEEDS, 5, 1.0).all())
    often = int(draws.chances(SEEDS, 5, 0.2).sum())
    assert stats.binomtest(often, len(SEEDS), 0.2).pvalue > 1e-4


def test_seeds_streams_and_children_are_told_apart():
    own = draws.uniforms(SEEDS, 1, 4)
    others = (draws.uniforms(SEEDS, 2, 4), draws.uniforms(draws.children(SEEDS, 1), 1, 4))
    for other in (*others, own.roll(1, 0)):
        assert abs(np.corrcoef(own.flatten(), other.flatten())[0, 1]) < 5 / 16_000**0.5
    assert torch.equal(draws.uniforms(SEEDS, 1, 9)[:, :4], own)  # however many are asked for
