"""A small VAE for sampled waves (a mixture of two sines each), every term a mean."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.programs.frame import Outcome, Watch, family


def make_waves(n, seed, noise):
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, 48)
    phase = torch.rand(n, 1, generator=g) * 6.283
    height = 0.5 + torch.rand(n, 1, generator=g)
    overtone = torch.randn(n, 1, generator=g) * 0.6
    clean = height * torch.sin(6.283 * t + phase) + overtone * torch.cos(12.566 * t)
    return clean + noise * torch.randn(n, 48, generator=g)


@family(
    kind="vae",
    loss="own",
    faults={
        "rate-high": ("rate-too-high",),
        "rate-low": ("rate-too-low",),
        "other-batch": ("predicts-the-mean", "input-unused", "same-answer-for-all"),
        "schedule-per-step": ("schedule-per-batch", "rate-cannot-reach"),
    },
    sound=("plain", "noisy", "sgd-clipped"),
)
def waves_vae(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    noise = 0.5 if variant == "noisy" else 0.1
    train = make_waves(2000, 10 * seed, noise)
    val = make_waves(400, 10 * seed + 1, noise)

    enc = nn.Sequential(nn.Linear(48, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh())
    to_mu, to_logvar = nn.Linear(32, 4), nn.Linear(32, 4)
    dec = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 48))
    model = nn.ModuleDict({"enc": enc, "mu": to_mu, "logvar": to_logvar, "dec": dec})

    lr = {"rate-high": 1.0, "rate-low": 2e-6}.get(variant, 3e-3)
    if variant == "sgd-clipped":
        opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    else:
        opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.9)

    def run(x):
        h = enc(x)
        mu, logvar = to_mu(h), to_logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return dec(z), mu, logvar

    def criterion(y, target, mu, logvar):
        kl = torch.mean(mu**2 + logvar.exp() - logvar - 1) / 2
        return F.mse_loss(y, target) + 0.01 * kl

    with watch(model, opt) as monitor:
        for _ in range(20):
            for idx in torch.randperm(len(train)).split(80):
                x = train[idx]
                target = train[torch.randint(len(train), (len(idx),))]
                if variant != "other-batch":
                    target = x
                y, mu, logvar = run(x)
                loss = criterion(y, target, mu, logvar)
                opt.zero_grad()
                loss.backward()
                if variant == "sgd-clipped":
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                opt.step()
                if variant == "schedule-per-step":
                    scheduler.step()
                monitor.step(loss, inputs=x, outputs=y, targets=target)
            if variant != "schedule-per-step":
                scheduler.step()
            with torch.no_grad():
                y, mu, logvar = run(val)
                val_loss = criterion(y, val, mu, logvar).item()
            monitor.validate(loss=val_loss)

    with torch.no_grad():
        y, _, _ = run(val)
        ratio = (F.mse_loss(y, val) / val.var(0).mean()).item()
    return Outcome(ratio, ratio < (0.7 if variant == "noisy" else 0.3))
