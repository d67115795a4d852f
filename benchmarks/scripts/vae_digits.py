"""Variational autoencoder on 8x8 digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(1)
images = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
images = images[torch.randperm(len(images))]
train_loader = DataLoader(images[:1500], batch_size=64, shuffle=True)
test_loader = DataLoader(images[1500:], batch_size=64)


class VAE(nn.Module):
    def __init__(self, hidden=128, latent=8):
        super().__init__()
        self.enc = nn.Linear(64, hidden)
        self.enc_mu = nn.Linear(hidden, latent)
        self.enc_logvar = nn.Linear(hidden, latent)
        self.dec1 = nn.Linear(latent, hidden)
        self.dec2 = nn.Linear(hidden, 64)

    def encode(self, x):
        h = F.relu(self.enc(x))
        return self.enc_mu(h), self.enc_logvar(h)

    def sample(self, mu, logvar):
        if not self.training:
            return mu
        return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)

    def decode(self, z):
        return torch.sigmoid(self.dec2(F.relu(self.dec1(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.sample(mu, logvar)), mu, logvar


def elbo_loss(recon, x, mu, logvar):
    """Reconstruction plus Kullback-Leibler divergence, summed over the batch."""
    rec = F.binary_cross_entropy(recon, x, reduction="sum")
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
    return rec + kl, kl


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=2e-3)


def train(epoch):
    model.train()
    total = 0
    for x in train_loader:
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        loss, _ = elbo_loss(recon, x, mu, logvar)
        loss.backward()
        total += loss.item()
        optimizer.step()
    print(f"====> Epoch {epoch}: train loss {total / 1500:.3f}")


def test():
    model.eval()
    total, total_kl, squared = 0.0, 0.0, 0.0
    with torch.no_grad():
        for x in test_loader:
            recon, mu, logvar = model(x)
            loss, kl = elbo_loss(recon, x, mu, logvar)
            total += loss.item()
            total_kl += kl.item()
            squared += ((recon - x) ** 2).mean(1).sum().item()
    n = len(images) - 1500
    print(f"====> test loss {total / n:.3f}, KL {total_kl / n:.3f}, MSE {squared / n:.4f}")


for epoch in range(1, 31):
    train(epoch)
    test()
