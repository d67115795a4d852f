"""A beta-VAE of short sensor traces: waves with a drift, in their physical unit."""

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

LENGTH = 48


def traces(n, generator):
    amplitude, phase, slope, offset = torch.rand(4, n, 1, generator=generator)
    t = torch.linspace(0, 1, LENGTH)
    wave = (1 + 2 * amplitude) * torch.sin(6.283 * (1.5 * t + phase))
    noise = 0.2 * torch.randn(n, LENGTH, generator=generator)
    return wave + (4 * slope - 2) * t + (2 * offset - 1) + noise


class Encoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(LENGTH, 96), nn.SiLU(), nn.Linear(96, 64), nn.SiLU())
        self.head = nn.Linear(64, 2 * latent)

    def forward(self, x):
        h = self.body(x)
        mean, raw = self.head(h).chunk(2, dim=1)
        return mean, nn.functional.softplus(raw) + 1e-4, h


class BetaVAE(nn.Module):
    def __init__(self, latent, skip, squash):
        super().__init__()
        self.skip = skip
        self.encoder = Encoder(latent)
        layers = [nn.Linear(latent + (64 if skip else 0), 64), nn.SiLU()]
        layers += [nn.Linear(64, 96), nn.SiLU(), nn.Linear(96, LENGTH)]
        self.decoder = nn.Sequential(*layers, *([nn.Tanh()] if squash else []))

    def forward(self, x):
        mean, sigma, h = self.encoder(x)
        z = mean + sigma * torch.randn_like(sigma)
        return self.decoder(torch.cat([z, h], 1) if self.skip else z), mean, sigma


def kl_normal(mean, sigma):
    return (0.5 * (mean**2 + sigma**2 - 1) - sigma.log()).sum(1).mean()


@family(
    kind="vae",
    loss="own",
    faults={
        "skip-around-code": ("posterior-collapse",),
        "tanh-end": ("output-activation",),
        "encoder-only-optimizer": ("weights-do-not-move",),
        "rate-hundredth": ("rate-too-low",),
    },
    sound=("plain", "beta-four"),
)
def drift_beta_vae(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(1000 + seed)
    train, held_out = traces(3000, g), traces(500, g)
    model = BetaVAE(10, variant == "skip-around-code", variant == "tanh-end")
    trained = model.encoder if variant == "encoder-only-optimizer" else model
    lr = 2e-5 if variant == "rate-hundredth" else 2e-3
    opt = torch.optim.AdamW(trained.parameters(), lr=lr, weight_decay=1e-4)
    beta = 4.0 if variant == "beta-four" else 1.0
    loader = torch.utils.data.DataLoader(train, batch_size=100, shuffle=True)

    def objective(batch):
        out, mean, sigma = model(batch)
        squares = (out - batch).pow(2).sum(1).mean()
        return squares + beta * kl_normal(mean, sigma), out

    with watch(model, opt) as monitor:
        for _ in range(16):
            model.train()
            for batch in loader:
                loss, out = objective(batch)
                model.zero_grad()
                loss.backward()
                opt.step()
                monitor.step(loss, inputs=batch, outputs=out, targets=batch)
            model.eval()
            with torch.no_grad():
                monitor.validate(loss=objective(held_out)[0].item())
    with torch.no_grad():
        out, mean, sigma = model(held_out)
        left = ((out - held_out) ** 2).mean() / held_out.var(0).mean()
        kl = kl_normal(mean, sigma)
    return Outcome(float(left), bool(left < 0.3 and kl > 1.5))
