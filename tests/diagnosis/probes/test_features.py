"""How alike features are, against formulas over pairs in float64."""

import itertools

import numpy as np
import pytest
import torch

from famulus.diagnosis.probes.features import are_features, describe
from famulus.diagnosis.probes.tensors import Sheet

B, D = 24, 10


def described(features_BD):
    sheet, into = Sheet(), {}
    describe(features_BD, sheet, into)
    sheet.read()
    return into


def by_pairs(features_BD):
    """cosine over pairs; spread of unit vectors; rank: exp of the entropy of singular values."""
    z = features_BD.double().numpy()
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    cosines = [u[a] @ u[b] for a, b in itertools.combinations(range(len(z)), 2)]
    variance = ((u - u.mean(0)) ** 2).mean()  # over samples and numbers
    values = np.linalg.svd(z - z.mean(0), compute_uv=False)
    share = values[values > 1e-6 * values.max()] / values.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    return {"cosine": np.mean(cosines), "spread": np.sqrt(variance * z.shape[1]), "rank": rank}


def features(offset=0.0, rank=D, size=1.0):
    draws = np.random.default_rng(0)
    z = draws.normal(size=(B, rank)) @ draws.normal(size=(rank, D)) + offset
    return torch.tensor(size * z, dtype=torch.float32)


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("rank", [1, 3, D])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_features_are_described_as_by_pairs(offset, rank, size):
    z = features(offset, rank, size)
    found = described(z)
    assert found.pop("of") == D
    assert found == pytest.approx(by_pairs(z), rel=1e-3, abs=1e-4)


def test_more_numbers_than_samples():
    z = torch.tensor(np.random.default_rng(1).normal(size=(6, 40)), dtype=torch.float32)
    found = described(z)
    assert found.pop("of") == 40
    assert found == pytest.approx(by_pairs(z), rel=1e-3)


def test_independent_directions_and_one():
    apart = described(torch.eye(8))
    assert apart["cosine"] == pytest.approx(0.0, abs=1e-6)
    assert apart["spread"] == pytest.approx(np.sqrt(7 / 8))  # of unit vectors around their mean
    assert apart["rank"] == pytest.approx(7.0)
    alike = described(torch.ones(8, 8))
    assert alike["cosine"] == pytest.approx(1.0)
    assert (alike["spread"], alike["rank"]) == (pytest.approx(0.0, abs=1e-6), 0.0)


@pytest.mark.parametrize(
    ("shape", "known"),
    [((8, 8), True), ((4, 4), True), ((3, 8), False), ((8, 3), False), ((8, 8, 8), False)],
)
def test_what_can_be_compared(shape, known):
    assert are_features(torch.zeros(shape)) is known
