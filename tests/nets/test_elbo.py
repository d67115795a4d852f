"""Against torch.distributions, closed values and brute force."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from famulus.nets import elbo


@pytest.fixture
def posterior():
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    return mu, 0.5 * torch.randn(7, 5, dtype=torch.float64, generator=generator)


def test_textbook_kl_is_that_of_torch_distributions(posterior):
    mu, log_sigma = posterior
    expected = kl_divergence(Normal(mu, log_sigma.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(elbo.gaussian_kl(mu, log_sigma), expected, rtol=1e-12, atol=1e-12)


def test_legacy_kl_is_not(posterior):  # proof that the test above can fail
    mu, log_sigma = posterior
    expected = kl_divergence(Normal(mu, log_sigma.exp()), Normal(0.0, 1.0))
    assert (elbo.legacy_kl(mu, log_sigma) - expected).abs().max() > 0.1


def test_both_at_the_prior():
    zero = torch.zeros(1, 1, dtype=torch.float64)
    assert elbo.gaussian_kl(zero, zero).item() == 0
    assert elbo.legacy_kl(zero, zero).item() == pytest.approx((torch.e - 2) / 2, rel=1e-12)
    assert round(elbo.legacy_kl(zero, zero).item(), 3) == 0.359


@pytest.mark.parametrize(("kl", "least_at"), [("textbook", 1.0), ("legacy", 0.0)])
def test_the_sigma_that_costs_least(kl, least_at):
    """Legacy switches the noise off, the textbook keeps it at 1."""
    sigma = torch.linspace(0.001, 2, 2000, dtype=torch.float64)
    cost = elbo.KL[kl](torch.zeros_like(sigma), sigma.log())
    assert sigma[cost.argmin()].item() == pytest.approx(least_at, abs=2e-3)


def test_legacy_near_zero_is_a_quarter_of_the_variance():
    sigma = torch.tensor([0.01], dtype=torch.float64)
    assert elbo.legacy_kl(torch.zeros(1), sigma.log()).item() == pytest.approx(
        0.01**2 / 4, rel=0.01
    )


def test_free_bits_by_hand_and_without_gradient_below():
    kl = torch.tensor([[0.1, 2.0], [0.3, 4.0]], requires_grad=True)
    value = elbo.free_bits(kl, 0.5)
    assert value.item() == pytest.approx(0.5 + 3.0)
    value.backward()
    assert kl.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    # clamping each sample on its own, as is often written, gives another number
    assert kl.clamp(min=0.5).mean(0).sum().item() == pytest.approx(3.5)
    mixed = torch.tensor([[0.0], [0.9]])
    assert elbo.free_bits(mixed, 0.5).item() == 0.5
    assert mixed.clamp(min=0.5).mean().item() == pytest.approx(0.7)


def test_warmup():
    assert [elbo.warmup(n, 100) for n in (0, 25, 100, 900)] == [0.0, 0.25, 1.0, 1.0]
    assert elbo.warmup(0, 0) == 1.0


def test_fixed_noise_belongs_to_the_sample_and_is_normal():
    table = elbo.noise_table(4096, 16)
    index = torch.tensor([5, 4096 + 5, 6])
    noise = elbo.fixed_noise(index, table)
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    assert torch.equal(table, elbo.noise_table(4096, 16))
    assert not torch.equal(table, elbo.noise_table(4096, 16, seed=1))
    assert abs(table.mean().item()) < 0.01
    assert table.std().item() == pytest.approx(1, abs=0.01)


def test_monte_carlo_of_the_reparameterised_sample():
    mu, log_sigma = torch.tensor([[1.5]]), torch.tensor([[-1.0]])
    noise = elbo.noise_table(20000, 1)
    z = elbo.reparameterise(mu, log_sigma, noise)
    posterior = Normal(mu, log_sigma.exp())
    estimate = (posterior.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).mean()
    assert estimate.item() == pytest.approx(elbo.gaussian_kl(mu, log_sigma).item(), rel=0.02)


def test_active_units_and_signal_to_noise():
    variance = torch.tensor([0.5, 0.0099, 0.0101])
    assert elbo.active_units(variance).item() == 2
    assert elbo.signal_to_noise(torch.tensor([4.0, 0.0]), torch.tensor([0.5, 0.5])).item() == 2
