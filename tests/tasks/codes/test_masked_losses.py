"""Masked means against the same mean over cut-out pixels; KL against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from famulus.tasks.codes import code_scores
from famulus.tasks.codes import masked_losses as masked


def test_padding_does_not_count():
    x, y = torch.rand(2, 2, 3, 6, 8, dtype=torch.float64)
    mask = torch.zeros(2, 1, 6, 8, dtype=torch.float64)
    mask[..., 2:6] = 1
    for name, value in ((n, f(x, y)) for n, f in masked.POINTWISE.items()):
        expected = masked.POINTWISE[name](x[..., 2:6], y[..., 2:6]).mean()
        torch.testing.assert_close(masked.masked_mean(value, mask), expected)
        sums, counts = masked.masked_sums(value, mask)
        torch.testing.assert_close(sums.sum() / counts.sum(), expected)
    padded = torch.zeros_like(x).where(mask == 0, x)
    target = torch.zeros_like(y).where(mask == 0, y)
    half = (padded - target).square()  # control: constant padding halves an unmasked figure
    torch.testing.assert_close(half.mean(), masked.masked_mean(half, mask) / 2)


def test_no_mask_is_a_mask_of_ones():
    value = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    ones = torch.ones(2, 1, 4, 4)
    torch.testing.assert_close(masked.masked_mean(value, None), masked.masked_mean(value, ones))
    for a, b in zip(masked.masked_sums(value, None), masked.masked_sums(value, ones), strict=True):
        torch.testing.assert_close(a, b)
    assert masked.masked_mean(value, 0 * ones) == 0


def test_kl_is_that_of_torch():
    mu, logvar = torch.randn(2, 5, 7, dtype=torch.float64)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(masked.gaussian_kl(mu, logvar), expected)
    assert not torch.allclose(masked.gaussian_kl(mu, 2 * logvar), expected)  # of another deviation


def test_code_nats_leave_padding_out():
    logits, codes = torch.randn(2, 3, 4, 5), torch.randint(5, (2, 3, 4))
    codes[0, 0] = 5
    nats, real = code_scores.code_nats(logits, codes)
    log_p = logits.double().log_softmax(-1)
    expected = -log_p.gather(-1, codes.clamp(max=4)[..., None])[..., 0]
    assert (nats - expected)[real].abs().max() < 1e-5  # float32 nats, of logits of up to 4
    assert (nats.flip(2) - expected)[real].abs().max() > 0.1  # those of another place
    assert nats[0, 0].abs().max() == 0
    assert real.sum() == 20


def test_unigram_of_a_biased_coin():
    bits, accuracy = code_scores.unigram(torch.tensor([[75, 25]]))
    assert bits == pytest.approx(0.8113, abs=1e-4)
    assert accuracy == 0.75
    held_out = code_scores.unigram_cross_entropy(
        torch.tensor([[7499, 2499]]), torch.tensor([[1, 1]])
    )
    assert held_out == pytest.approx(-0.5 * (math.log2(0.75) + math.log2(0.25)), abs=1e-4)
