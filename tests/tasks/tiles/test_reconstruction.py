"""Against torch.distributions, numpy in float64 and the definition of an optimum."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Laplace, Normal

from famulus.tasks.tiles import constant_baseline as constant
from famulus.tasks.tiles import reconstruction as rec

DENSITIES = {"laplace": Laplace, "gaussian": Normal}


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(5, 3, 4, 6, generator=generator)
    return raw, torch.rand(5, 3, 4, 6, generator=generator)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("scale", [0.05, 0.7])
def test_likelihoods_are_those_of_torch_distributions(pair, name, scale):
    raw, target = pair
    expected = -DENSITIES[name](raw.double(), scale).log_prob(target.double()).mean()
    error = rec.batch_mean(name, raw, target)
    assert rec.negative_log_likelihood(name, error, scale).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    wrong = -DENSITIES[name](raw.double(), 2 * scale).log_prob(target.double()).mean()
    assert abs(wrong - expected) > 0.05  # proof that the test can fail


def test_bce_is_bernoulli_for_black_and_white(pair):
    raw, target = pair[0], (pair[1] > 0.5).float()
    expected = -Bernoulli(logits=raw.double()).log_prob(target.double()).mean().item()
    assert rec.batch_mean("bce", raw, target).item() == pytest.approx(expected, rel=1e-5)
    assert rec.batch_mean("bce", raw, 1 - target).item() != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", rec.NAMES)
def test_mean_of_samples_is_the_batch_mean(pair, name):
    x, t = (part.double() for part in pair)
    error = {"l1": (x - t).abs(), "l2": (x - t).square(), "bce": (1 + x.exp()).log() - t * x}
    exact = error[{"laplace": "l1", "gaussian": "l2"}.get(name, name)].flatten(1).mean(1)
    per_sample = rec.per_sample(name, *pair)
    assert per_sample.tolist() == pytest.approx(exact.tolist(), rel=1e-5)
    assert per_sample.tolist() != pytest.approx(exact.flip(0).tolist(), rel=1e-3)
    assert rec.batch_mean(name, *pair).item() == pytest.approx(exact.mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", DENSITIES)
def test_optimal_scale_is_the_least_and_has_no_gradient_of_its_own(pair, name):
    raw, target = pair[0].double().requires_grad_(), pair[1].double()
    error = rec.batch_mean(name, raw, target).double()
    best = rec.optimal_scale(name, error.detach())
    at_best = rec.negative_log_likelihood(name, error, best)
    for factor in (0.9, 1.1):
        assert rec.negative_log_likelihood(name, error, best * factor) > at_best
    attached = rec.negative_log_likelihood(name, error, rec.optimal_scale(name, error))
    (a,) = torch.autograd.grad(at_best, raw, retain_graph=True)
    (b,) = torch.autograd.grad(attached, raw)
    torch.testing.assert_close(a, b)


def test_a_perfect_reconstruction_is_finite():
    zero = torch.zeros(())
    for name in DENSITIES:
        scale = rec.optimal_scale(name, zero)
        assert math.isfinite(rec.negative_log_likelihood(name, zero, scale))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 1, 4, 4\), received \(2, 3, 4, 4\)"):
        rec.batch_mean("l1", torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match="expected one of l1"):
        rec.per_sample("l3", torch.zeros(1, 1), torch.zeros(1, 1))


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 256, (31, 1, 3, 4)).astype(np.uint8)


def test_best_constants_against_numpy(levels):
    images = torch.from_numpy(levels).float() / 255
    counts = constant.level_counts(images[:10]) + constant.level_counts(images[10:])
    assert counts.sum().item() == levels.size
    x = levels.reshape(31, -1).astype(np.float64) / 255
    median, mean = np.median(x, 0), x.mean(0)
    np.testing.assert_allclose(constant.best_constant("l1", counts), median, atol=1e-12)
    np.testing.assert_allclose(constant.best_constant("l2", counts), mean, atol=1e-12)
    of = constant.error_of_constant
    assert of("l1", counts, torch.from_numpy(median)) == pytest.approx(abs(x - median).mean())
    assert of("l2", counts, torch.from_numpy(mean)) == pytest.approx(((x - mean) ** 2).mean())
    entropy = -(x * np.log(mean) + (1 - x) * np.log(1 - mean)).mean()
    assert of("bce", counts, torch.from_numpy(mean)) == pytest.approx(entropy)
    assert of("l1", counts, torch.from_numpy(mean)) > of("l1", counts, torch.from_numpy(median))


def test_entropy_of_targets_and_own_median(levels):
    x = levels.reshape(31, -1).astype(np.float64) / 255
    inner = x.clip(1e-12, 1 - 1e-12)
    entropy = -(inner * np.log(inner) + (1 - inner) * np.log(1 - inner)).mean()
    images = torch.from_numpy(levels).float() / 255
    counts = constant.level_counts(images)
    assert constant.entropy_of_targets(counts) == pytest.approx(entropy, abs=1e-9)
    black_and_white = constant.level_counts((images > 0.5).float())
    assert constant.entropy_of_targets(black_and_white) == 0
    own = abs(x - np.median(x, 1, keepdims=True)).mean()
    assert constant.own_median_error(images).mean().item() == pytest.approx(own, rel=1e-5)
