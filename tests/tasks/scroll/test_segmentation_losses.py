"""Losses against their definitions in float64 NumPy, and constants against closed forms."""

import math

import numpy as np
import pytest
import torch

from famulus.tasks.scroll import segmentation_losses as seg


@pytest.fixture
def case():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 5, generator=g, dtype=torch.float64)
    target = (torch.rand(3, 4, 5, generator=g) < 0.3).double()
    return logits, target, torch.rand(3, 4, 5, generator=g).double()


def test_each_loss_is_its_definition(case):
    logits, target, weight = case
    z, t, w = (x.numpy() for x in case)
    p = 1 / (1 + np.exp(-z))
    nats = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    assert seg.bce(logits, target, weight).item() == pytest.approx((w * nats).sum() / w.sum())
    wrong = np.where(t == 1, 1 - p, p)
    assert seg.focal(logits, target, weight, 2.0).item() == pytest.approx(
        (w * wrong**2 * nats).sum() / w.sum()
    )
    hits, false, missed = (w * p * t).sum(), (w * p * (1 - t)).sum(), (w * (1 - p) * t).sum()
    assert seg.dice(logits, target, weight).item() == pytest.approx(
        1 - 2 * hits / (2 * hits + false + missed), abs=1e-5
    )
    assert seg.tversky(logits, target, weight, 0.3, 0.7).item() == pytest.approx(
        1 - hits / (hits + 0.3 * false + 0.7 * missed), abs=1e-5
    )


def test_the_scale_of_weights_does_not_matter_and_focal_0_is_bce(case):
    logits, target, weight = case
    assert torch.isclose(seg.bce(logits, target, weight), seg.bce(logits, target, 7 * weight))
    assert torch.isclose(seg.focal(logits, target, weight, 0.0), seg.bce(logits, target, weight))
    assert not torch.isclose(
        seg.bce(logits, target, weight), seg.bce(logits, target, torch.ones_like(weight))
    )


@pytest.mark.parametrize(("p", "nats"), [(0.09, 0.3025), (0.228, 0.537)])
def test_a_constant_at_the_base_rate_costs_its_entropy(p, nats):
    target = (torch.arange(1000) < 1000 * p).double()
    constant = torch.full_like(target, math.log(p / (1 - p)))
    cost = seg.bce(constant, target, torch.ones_like(target)).item()
    assert cost == pytest.approx(seg.entropy(p)) == pytest.approx(nats, abs=1e-3)
    other = seg.bce(constant + 0.5, target, torch.ones_like(target)).item()
    assert other > cost


def test_coarse_targets_keep_the_mean_and_smoothing_pulls_to_a_half():
    label = (torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    coarse = seg.coarsened(label, 4)
    assert coarse.shape == (2, 2, 2)
    assert coarse[1, 0, 1] == label[1, :4, 4:].mean()
    assert seg.smoothed(torch.tensor([0.0, 1.0]), 0.2).tolist() == pytest.approx([0.1, 0.9])
