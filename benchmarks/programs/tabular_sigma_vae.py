"""A VAE for a table of cell measurements; the decoder's noise level is learned per column."""

import math

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


class TabularVAE(nn.Module):
    def __init__(self, columns: int, latent: int, hidden: int):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(columns, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, columns)
        )
        self.log_sigma = nn.Parameter(torch.zeros(columns))

    def posterior(self, x):
        h = self.encoder(x)
        return self.mean(h), torch.exp(0.5 * self.log_variance(h))

    def negative_log_likelihood(self, x, x_mean):
        scaled = (x - x_mean) / self.log_sigma.exp()
        return (0.5 * scaled**2 + self.log_sigma + 0.5 * math.log(2 * math.pi)).sum(-1).mean()


def kl_to_standard_normal(mu, sigma):
    return (0.5 * (mu**2 + sigma**2) - sigma.log() - 0.5).sum(-1).mean()


@family(
    kind="vae",
    loss="own",
    faults={
        "kl-forgotten-nearly": ("posterior-unused",),
        "raw-columns": ("input-out-of-range", "targets-out-of-range", "loss-not-finite"),
        "sign-of-log-sigma": ("loss-unbounded",),
        "kl-times-batch": ("posterior-collapse",),
    },
    sound=("plain", "two-latents"),
)
def tabular_sigma_vae(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    table = load_breast_cancer().data
    train, test = train_test_split(table, test_size=0.25, random_state=seed)
    if variant != "raw-columns":
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    train = torch.from_numpy(train.astype(np.float32))
    test = torch.from_numpy(test.astype(np.float32))

    vae = TabularVAE(30, latent=2 if variant == "two-latents" else 8, hidden=64)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3 if variant == "two-latents" else 2e-3)
    beta = {"kl-forgotten-nearly": 1e-8, "kl-times-batch": 32.0}.get(variant, 1.0)

    def evaluate():
        vae.eval()
        with torch.no_grad():
            mu, sigma = vae.posterior(test)
            x_mean = vae.decoder(mu + sigma * torch.randn_like(mu))
            nll = vae.negative_log_likelihood(test, x_mean)
            return (nll + kl_to_standard_normal(mu, sigma)).item()

    with watch(vae, optimizer) as monitor:
        for epoch in range(70):
            vae.train()
            shuffled = train[torch.randperm(len(train))]
            for x in shuffled.split(32):
                optimizer.zero_grad()
                mu, sigma = vae.posterior(x)
                z = mu + sigma * torch.randn_like(sigma)
                x_mean = vae.decoder(z)
                nll = vae.negative_log_likelihood(x, x_mean)
                if variant == "sign-of-log-sigma":
                    nll = nll - 2 * vae.log_sigma.sum()
                kl = kl_to_standard_normal(mu, sigma)
                loss = nll + beta * kl
                loss.backward()
                optimizer.step()
                monitor.step(
                    loss, inputs=x, parts={"nll": nll, "kl": kl}, latent={"mu": mu, "sigma": sigma}
                )
            if epoch % 5 == 4:
                monitor.validate(loss=evaluate())

    # nats per column better than a normal distribution for every column by itself
    center, spread = train.mean(0), train.std(0)
    alone = -torch.distributions.Normal(center, spread).log_prob(test).sum(-1).mean().item()
    gained = (alone - evaluate()) / 30
    return Outcome(gained, gained > 0.15)
