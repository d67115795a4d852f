"""A dense VAE on digits, in the manner of the well-known example: summed BCE plus KL."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


class VAE(nn.Module):
    def __init__(self, hidden: int = 128, latent: int = 6) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return self.fc4(F.relu(self.fc3(z)))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


class SigmoidVAE(VAE):
    def decode(self, z):
        return torch.sigmoid(super().decode(z))


def kl_divergence(mu, logvar):
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / len(mu)


def bce(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


@family(
    kind="vae",
    loss="own",
    faults={
        "beta-forty": ("posterior-collapse",),
        "sigmoid-and-logits": ("activation-twice", "output-activation"),
        "grey-levels": (
            "targets-out-of-range",
            "loss-does-not-fit-output",
            "loss-unbounded",
            "input-out-of-range",
        ),
        "forgotten-zero-grad": ("gradients-accumulate",),
        "kl-negated": ("loss-unbounded",),
    },
    sound=("plain", "many-latents", "summed-over-batch"),
)
def digits_vae(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    pictures = torch.tensor(load_digits().data, dtype=torch.float32)
    if variant != "grey-levels":
        pictures = pictures / 16
    pictures = pictures[torch.randperm(len(pictures))]
    train, test = pictures[:1450], pictures[1450:]
    loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True)

    if variant == "sigmoid-and-logits":
        model = SigmoidVAE()
    else:
        model = VAE(256, 20) if variant == "many-latents" else VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    beta = {"beta-forty": 40.0, "kl-negated": -1.0}.get(variant, 1.0)

    with watch(model, optimizer) as monitor:
        for _epoch in range(25):
            model.train()
            for (x,) in loader:
                if variant != "forgotten-zero-grad":
                    optimizer.zero_grad()
                logits, mu, logvar = model(x)
                recon = bce(logits, x)
                kld = kl_divergence(mu, logvar)
                loss = recon + beta * kld
                if variant == "summed-over-batch":
                    loss = loss * len(x)
                loss.backward()
                optimizer.step()
                monitor.step(
                    loss,
                    inputs=x,
                    outputs=logits,
                    targets=x,
                    parts={"bce": recon, "kld": kld},
                    latent={"mu": mu, "logvar": logvar},
                    loss_fn=bce,
                )
            model.eval()
            with torch.no_grad():
                logits, mu, logvar = model(test)
                held_out = bce(logits, test) + beta * kl_divergence(mu, logvar)
                if variant == "summed-over-batch":
                    held_out = held_out * 64
            monitor.validate(loss=held_out.item())

    with torch.no_grad():
        logits, mu, logvar = model(test)
        error = (torch.sigmoid(logits) - test / test.max()).square().mean()
        relative = (error / (train / train.max()).var(0).mean()).item()
    return Outcome(relative, relative < 0.75)
