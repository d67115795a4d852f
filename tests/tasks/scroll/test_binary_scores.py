"""Against scikit-learn and brute force."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from famulus.tasks.scroll import binary_scores as scores


def case(seed, ties=False, n=400):
    rng = np.random.default_rng(seed)
    target = rng.random(n) < 0.2
    score = target * rng.random() + rng.random(n)
    if ties:
        score = (score * 8).round() / 8
    return torch.from_numpy(score), torch.from_numpy(target), torch.from_numpy(rng.random(n) + 0.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_and_average_precision(seed, ties, weighted):
    score, target, weight = case(seed, ties)
    weight = weight if weighted else None
    curve = scores.curve(score, target, weight)
    assert scores.auc(curve) == pytest.approx(
        metrics.roc_auc_score(target, score, sample_weight=weight), abs=1e-12
    )
    assert scores.average_precision(curve) == pytest.approx(
        metrics.average_precision_score(target, score, sample_weight=weight), abs=1e-12
    )


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_beta_at_a_threshold_and_the_best_one(beta):
    score, target, _ = case(5, ties=True)
    tried = {float(t): metrics.fbeta_score(target, score >= t, beta=beta) for t in score.unique()}
    for threshold, value in tried.items():
        assert scores.at_threshold(score, target, threshold, beta) == pytest.approx(value)
    threshold, value = scores.best_threshold(scores.curve(score, target), beta)
    assert value == pytest.approx(max(tried.values()))
    assert tried[threshold] == pytest.approx(value)


@pytest.mark.parametrize("p", [0.09, 0.12, 0.5])
def test_everything(p):
    target = torch.arange(100) < 100 * p
    assert scores.everything(p) == pytest.approx(scores.at_threshold(target + 1.0, target, 0.0))
    assert scores.everything(0.09) == pytest.approx(0.11, abs=0.001)  # as published


def test_no_pixel_chooses_its_own_threshold():
    """On noise the best threshold flatters; the cross-fitted score does not."""
    rng = np.random.default_rng(0)
    flattered, honest = [], []
    for _ in range(60):
        target = torch.from_numpy(rng.random(60) < 0.3)
        score, half = torch.from_numpy(rng.random(60)), torch.arange(60) % 2 == 0
        flattered.append(scores.best_threshold(scores.curve(score, target))[1])
        honest.append(scores.cross_fitted(score, target, half)[0])
    assert np.mean(flattered) > np.nanmean(honest) + 0.1


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match="NaN"):
        scores.curve(torch.tensor([0.1, float("nan")]), torch.tensor([0, 1]))
    one = scores.cross_fitted(torch.rand(4), torch.zeros(4), torch.arange(4) % 2 == 0)
    assert all(np.isnan(v) for v in one)
