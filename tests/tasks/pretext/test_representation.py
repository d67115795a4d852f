"""Health of features against closed forms, a loop over neighbours, and the probe's own way."""

import math

import pytest
import torch

from famulus.diagnosis.probes.tensors import gram, rank_of_gram
from famulus.tasks.pretext import representation as r


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rank_of_features():
    basis = torch.linalg.qr(random(64, 64)).Q
    spread = basis[:, :8] - basis[:, :8].mean(0)
    assert r.feature_rank(spread) == pytest.approx(8, rel=0.1)
    assert r.feature_rank(spread + 100) == pytest.approx(r.feature_rank(spread), rel=1e-3)
    line = random(64, 1) * random(1, 8, seed=1)
    assert r.feature_rank(line) == pytest.approx(1.0, abs=1e-6)
    assert r.feature_rank(torch.ones(64, 8)) == 0.0


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_a_probe_finds_the_same_rank(shape):
    """From products of features, which cost it half of the digits: directions below 1e-6 of the
    largest it takes for rounding."""
    features = random(*shape) + 100
    probed = rank_of_gram(gram(features).numpy().ravel())
    assert r.feature_rank(features) == pytest.approx(probed, rel=1e-9)
    fading = random(*shape) * 10.0 ** -torch.arange(shape[1])  # half of 8 columns are below
    probed = rank_of_gram(gram(fading).numpy().ravel())
    assert r.feature_rank(fading) == pytest.approx(probed, rel=1e-4)


def test_spread_of_features():
    assert r.feature_std(random(4000, 32)) == pytest.approx(1.0, abs=0.03)
    assert r.feature_std(torch.ones(50, 32)) < 1e-9
    assert r.cosine_of_others(random(400, 32)) == pytest.approx(0.0, abs=0.02)
    assert r.cosine_of_others(random(400, 32) + 20) > 0.99


def test_neighbours_against_a_loop():
    bank, label = random(40, 6), torch.arange(40) % 3
    query, own = random(15, 6, seed=1), torch.arange(15) % 3
    hits = 0
    for q, y in zip(query, own, strict=True):
        cosine = (bank @ q) / bank.norm(dim=1) / q.norm()
        near = cosine.argsort(descending=True)[:5]
        votes = torch.zeros(3, dtype=torch.float64)
        for n in near:
            votes[label[n]] += math.exp(float(cosine[n]) / 0.07)
        hits += int(votes.argmax() == y)
    assert r.nearest_accuracy(query, own, bank, label, 3, k=5) == pytest.approx(hits / 15)


def test_leaving_oneself_out():
    features, label = random(30, 6), torch.randint(3, (30,))
    assert r.nearest_accuracy(features, label, features, label, 3, k=1) == 1.0  # oneself
    assert r.leave_one_out(features, label, 3, k=1) < 0.8


@pytest.mark.parametrize("count", [1024, 1026, 2100])
def test_nobody_votes_for_itself_in_any_block(count):
    """Twins of other labels, each other's nearest: all votes are wrong unless one is one's own."""
    twins = random(count // 2, 8).repeat_interleave(2, 0) + 1e-6 * random(count, 8, seed=1)
    side = torch.arange(count) % 2
    assert r.leave_one_out(twins, side, 2, k=1) == 0
    assert r.leave_one_out(twins, torch.arange(count) // 2, count // 2, k=1) == 1
    votes = r.nearest_votes(twins, twins, side, 2, k=1)  # who may ask itself, does
    assert torch.equal(votes.argmax(1), side)
