"""Gradients drawn from a known distribution."""

import math

import pytest
import torch

from famulus.ops.noise_scale import advice, noise_scale


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_it_finds_trace_over_square(sd):
    g = torch.Generator().manual_seed(0)
    true = torch.full((200,), 0.3)
    drawn = []
    for i in range(400):
        size = 4 if i % 2 else 8
        noise = sd * torch.randn(size, 200, generator=g).mean(0)
        drawn.append((true + noise, size))
    assert noise_scale(drawn) == pytest.approx(200 * sd**2 / (200 * 0.3**2), rel=0.1)


def test_without_noise_it_is_zero_and_pure_noise_is_no_small_scale():
    same = [(torch.ones(5), 4)] * 6
    assert noise_scale(same) == pytest.approx(0, abs=1e-9)
    g = torch.Generator().manual_seed(1)
    found = noise_scale([(torch.randn(500, generator=g), 4) for _ in range(50)])
    assert math.isnan(found) or found > 100
    with pytest.raises(ValueError, match="two"):
        noise_scale(same[:1])


def test_advice_below_and_above_the_scale():
    assert "worth 3.9 steps" in advice(10_000, 64)
    assert "worth 1.0 steps" in advice(1, 256) or "worth 1 steps" in advice(1, 256)
