"""A conditional VAE of soft strokes, given their direction; one-file script in functional style."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

SIDE = 12


def strokes(n, generator):
    kind = torch.randint(0, 3, (n,), generator=generator)
    place, width, grey = torch.rand(3, n, 1, 1, generator=generator)
    axis = torch.linspace(-1, 1, SIDE)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    angle = (kind * math.pi / 3)[:, None, None]
    away = xx * angle.cos() + yy * angle.sin() - (1.4 * place - 0.7)
    image = (0.4 + 0.6 * grey) * torch.exp(-((away / (0.15 + 0.25 * width)) ** 2))
    return image.flatten(1), F.one_hot(kind, 3).float()


class CVAE(nn.Module):
    def __init__(self, hidden, z):
        super().__init__()
        self.fc1 = nn.Linear(SIDE * SIDE + 3, hidden)
        self.fc21 = nn.Linear(hidden, z)
        self.fc22 = nn.Linear(hidden, z)
        self.fc3 = nn.Linear(z + 3, hidden)
        self.fc4 = nn.Linear(hidden, SIDE * SIDE)


def encode(net, x, c):
    h = F.elu(net.fc1(torch.cat([x, c], 1)))
    return net.fc21(h), net.fc22(h)


def decode(net, z, c):
    return net.fc4(F.elu(net.fc3(torch.cat([z, c], 1))))


def kld(mu, logvar):
    return -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()


@family(
    kind="vae",
    loss="own",
    faults={
        "pixel-mean": ("posterior-collapse",),
        "sigmoid-kept": ("activation-twice", "output-activation"),
        "minus-kl": ("loss-unbounded",),
        "eight-fold-start": ("initialisation", "wrong-initial-loss"),
    },
    sound=("plain", "warm-up"),
)
def strokes_cvae(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed + 100)
    x_train, c_train = strokes(2000, g)
    x_test, c_test = strokes(400, g)
    net = CVAE(200 if variant == "warm-up" else 128, 8 if variant == "warm-up" else 5)
    if variant == "eight-fold-start":
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(8)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    def terms(x, c, draw=True):
        mu, logvar = encode(net, x, c)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if draw else mu
        out = decode(net, z, c)
        if variant == "sigmoid-kept":
            out = torch.sigmoid(out)
        bce = F.binary_cross_entropy_with_logits(out, x, reduction="none")
        recon = bce.mean() if variant == "pixel-mean" else bce.sum(1).mean()
        return out, recon, kld(mu, logvar), mu, logvar

    sign = -1.0 if variant == "minus-kl" else 1.0
    step, epochs = 0, 22
    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            order = torch.randperm(len(x_train))
            for rows in order.split(100):
                x, c = x_train[rows], c_train[rows]
                out, recon, kl, mu, logvar = terms(x, c)
                beta = min(1.0, (step + 1) / 150) if variant == "warm-up" else 1.0
                loss = recon + sign * beta * kl
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
                monitor.step(
                    loss,
                    inputs=x,
                    outputs=out,
                    targets=x,
                    parts={"recon": recon, "kl": kl},
                    latent={"mu": mu, "logvar": logvar},
                )
            with torch.no_grad():
                _, recon, kl, _, _ = terms(x_test, c_test)
            monitor.validate(loss=float(recon + sign * kl))
    with torch.no_grad():
        drawn = terms(x_test, c_test)[0]
        _, _, kl, _, _ = terms(x_test, c_test, draw=False)
    error = (torch.sigmoid(drawn) - x_test).pow(2).mean() / (x_test - x_train.mean(0)).pow(2).mean()
    return Outcome(float(error), bool(error < 0.3 and 0.5 < kl < 50))
