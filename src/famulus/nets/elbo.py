"""The KL side of the evidence lower bound, for a diagonal Gaussian posterior.

Shapes: B batch, D latent. Units: nats, of one sample (summed over D, not over pixels).
Names: mu, log_sigma (natural logarithm of the standard deviation, not of the variance).
Source: Kingma & Welling 2014, arXiv 1312.6114 (KL); Kingma et al. 2016, arXiv 1606.04934 (free
bits); Burda et al. 2016, arXiv 1509.00519 (active units); knowledge of one faulty formula that
published results depend on (`legacy_kl`).
"""

import torch
from torch import Tensor

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 5: Var(mu) above which a unit is in use


def gaussian_kl(mu_BD: Tensor, log_sigma_BD: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) = (mu^2 + sigma^2 - 1)/2 - ln sigma: BD, nats, >= 0."""
    return 0.5 * (mu_BD.square() + (2 * log_sigma_BD).exp() - 1) - log_sigma_BD


def legacy_kl(mu_BD: Tensor, log_sigma_BD: Tensor) -> Tensor:
    """(exp(s) - s - 1 + mu^2)/2 with s = sigma: BD. Not a divergence: for old results only.

    It is the textbook formula with the standard deviation put where the log-variance belongs.
    Least at sigma = 0, so training switches the noise off; .359 at mu = 0, sigma = 1 instead of 0.
    """
    sigma_BD = log_sigma_BD.exp()
    return 0.5 * (sigma_BD.exp() - sigma_BD - 1 + mu_BD.square())


KL = {"textbook": gaussian_kl, "legacy": legacy_kl}


def free_bits(kl_BD: Tensor, nats: float) -> Tensor:
    """sum_d max(nats, mean_b kl_bd): scalar. A unit below `nats` is left alone (no gradient)."""
    # the mean over the batch first: a unit may be silent for one sample and speak for another
    return kl_BD.mean(0).clamp(min=nats).sum()


def warmup(inputs: int, over: int) -> float:
    """Factor on the KL weight: 0 at the start, linear in examples seen, 1 from `over` on."""
    return 1.0 if over <= 0 else min(1.0, inputs / over)


def reparameterise(mu_BD: Tensor, log_sigma_BD: Tensor, noise_BD: Tensor) -> Tensor:
    """z = mu + sigma * noise: BD."""
    # the noise comes from outside, so that a gradient passes through mu and sigma
    return mu_BD + log_sigma_BD.exp() * noise_BD


def fixed_noise(index_B: Tensor, table_ND: Tensor) -> Tensor:
    """Row (index mod N) of a table of normal draws: BD.

    A sample meets the same noise in every validation, whatever the batch size.
    """
    return table_ND[index_B % len(table_ND)]


def noise_table(rows: int, code: int, seed: int = 0) -> Tensor:
    """`rows` x `code` draws from N(0, 1), the same on every machine of one torch version."""
    # a generator of its own, on the CPU: a device's gives other numbers, the run's stays as it is
    return torch.randn(rows, code, generator=torch.Generator().manual_seed(seed))


def active_units(variance_of_mu_D: Tensor) -> Tensor:
    """How many units have Var over the data of mu above .01 (Burda et al. 2016)."""
    return (variance_of_mu_D > ACTIVE_VARIANCE).sum()


def signal_to_noise(variance_of_mu_D: Tensor, mean_square_sigma_D: Tensor) -> Tensor:
    """sqrt(mean_d Var(mu_d) / mean_d E(sigma_d^2)): how far codes stand out of their noise."""
    # a posterior without noise
    return (variance_of_mu_D.mean() / mean_square_sigma_D.mean().clamp(min=1e-30)).sqrt()


def posterior_sums(mu_BD: Tensor, log_sigma_BD: Tensor) -> dict[str, Tensor]:
    """What `posterior_scores` needs, float64, to be added over batches; nothing waits here."""
    # In float64: a variance as the difference of two large sums loses most digits.
    mu_BD, sigma_BD = mu_BD.double(), log_sigma_BD.double().exp()
    return {
        "mu_D": mu_BD.sum(0),
        "mu2_D": mu_BD.square().sum(0),
        "sigma2_D": sigma_BD.square().sum(0),
        "sigma": sigma_BD.mean(1).sum(),
    }


def posterior_scores(mean: dict[str, Tensor]) -> dict[str, Tensor]:
    """`active_units`, `snr` and the mean `sigma` from those sums divided by the samples."""
    # rounding may leave it just below
    variance_D = (mean["mu2_D"] - mean["mu_D"].square()).clamp(min=0)
    return {
        "active_units": active_units(variance_D),
        "snr": signal_to_noise(variance_D, mean["sigma2_D"]),
        "sigma": mean["sigma"],
    }
