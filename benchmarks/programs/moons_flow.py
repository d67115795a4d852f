"""A normalising flow of affine coupling layers for points in the plane, by its likelihood."""

import math

import torch
from sklearn.datasets import make_moons
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


class Coupling(nn.Module):
    def __init__(self, keep: int, hidden: int, bounded: bool):
        super().__init__()
        self.keep = keep
        self.bounded = bounded
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.scale = nn.Linear(hidden, 1)
        self.shift = nn.Linear(hidden, 1)

    def forward(self, x):
        a, b = x[:, self.keep, None], x[:, 1 - self.keep, None]
        h = self.net(a)
        s = self.scale(h)
        if self.bounded:
            s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + self.shift(h)
        pair = (a, b) if self.keep == 0 else (b, a)
        return torch.cat(pair, 1), s[:, 0]


class Flow(nn.Module):
    def __init__(self, depth: int = 6, hidden: int = 32, bounded: bool = True):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(i % 2, hidden, bounded) for i in range(depth))

    def forward(self, x):
        total = torch.zeros(len(x))
        for layer in self.layers:
            x, logdet = layer(x)
            total = total + logdet
        return x, total

    def log_prob(self, x):
        z, logdet = self(x)
        return -0.5 * z.pow(2).sum(1) - math.log(2 * math.pi) + logdet


def points(n, seed, shape):
    if shape == "spiral":
        g = torch.Generator().manual_seed(seed)
        t = torch.rand(n, generator=g).sqrt() * 7 + 1
        x = torch.stack([t * t.cos(), t * t.sin()], 1) / 4
        return x + 0.08 * torch.randn(n, 2, generator=g)
    x, _ = make_moons(n, noise=0.08, random_state=seed)
    return (torch.tensor(x, dtype=torch.float32) - torch.tensor([0.5, 0.25])) / 0.7


@family(
    kind="multi-term",
    loss="own",
    faults={
        "logdet-sign": ("loss-unbounded",),
        "in-millimetres": ("input-out-of-range",),
        "rate-low": ("rate-too-low",),
        "momentum-high": ("momentum-too-high", "rate-too-high", "loss-not-finite"),
    },
    sound=("plain", "spiral", "accumulated"),
)
def moons_flow(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    shape = "spiral" if variant == "spiral" else "moons"
    train, test = points(3000, seed, shape), points(1000, 50 + seed, shape)
    unit = 1000.0 if variant == "in-millimetres" else 1.0
    train, test = train * unit, test * unit

    flow = Flow(depth=6 if shape == "spiral" else 4)
    if variant == "momentum-high":
        optimizer = torch.optim.SGD(flow.parameters(), lr=0.05, momentum=0.99)
    else:
        lr = 1e-6 if variant == "rate-low" else 5e-3
        optimizer = torch.optim.Adam(flow.parameters(), lr=lr)
    accumulate = 2 if variant == "accumulated" else 1

    with watch(flow, optimizer) as monitor:
        for step in range(350):
            optimizer.zero_grad(set_to_none=True)
            for _ in range(accumulate):
                x = train[torch.randint(len(train), (100,))]
                if variant == "logdet-sign":
                    z, logdet = flow(x)
                    loss = (0.5 * z.pow(2).sum(1) + logdet).mean() + math.log(2 * math.pi)
                else:
                    loss = -flow.log_prob(x).mean()
                (loss / accumulate).backward()
            optimizer.step()
            monitor.step(loss, inputs=x)
            if step % 50 == 49:
                with torch.no_grad():
                    monitor.validate(loss=-flow.log_prob(test).mean().item())

    with torch.no_grad():
        found = flow.log_prob(test).mean()
    center, cov = train.mean(0), torch.cov(train.T)
    normal = torch.distributions.MultivariateNormal(center, cov).log_prob(test).mean()
    gained = (found - normal).item()  # nats per point better than one normal distribution
    return Outcome(gained, gained > 0.4)
