"""How a damped spring moves, for its stiffness and damping: quantiles plus a term from physics."""

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

LEVELS = torch.tensor([0.1, 0.5, 0.9])


def motion(t, stiff, damp):
    speed = (stiff - damp**2 / 4).sqrt()
    return torch.exp(-damp * t / 2) * (
        torch.cos(speed * t) + damp / (2 * speed) * (speed * t).sin()
    )


def measured(n, rng):
    u = torch.rand(n, 3, generator=rng)
    t, stiff, damp = (3 * u[:, :1], 2 + 4 * u[:, 1:2], 0.2 + 0.8 * u[:, 2:])
    clean = motion(t, stiff, damp)
    noise = 0.1 * torch.randn(n, 1, generator=rng)
    return torch.cat([t / 3, (stiff - 4) / 2, (damp - 0.6) / 0.4], 1), clean + noise, clean


class Spring(nn.Module):
    def __init__(self, width, act, bounded=False):
        super().__init__()
        self.first, self.second = nn.Linear(3, width), nn.Linear(width, width)
        self.third = nn.Linear(width, 3)
        self.act, self.bounded = act, bounded

    def forward(self, x):
        h = self.act(self.second(self.act(self.first(x))))
        y = self.third(h)
        return torch.sigmoid(y) if self.bounded else y


def pinball(quantiles, y):
    gap = y - quantiles
    return torch.maximum(LEVELS * gap, (LEVELS - 1) * gap).sum(1).mean()


def at_rest(net, x):
    """Every motion starts at 1, without speed."""
    start = x.clone()
    start[:, 0] = 0
    soon = start.clone()
    soon[:, 0] = 0.02
    now, later = net(start)[:, 1], net(soon)[:, 1]
    return (now - 1).pow(2).mean() + ((later - now) / 0.06).pow(2).mean()


@family(
    kind="multi-term",
    loss="own",
    faults={
        "row-and-column": ("shapes-broadcast",),
        "sigmoid-end": ("output-activation",),
        "in-micrometres": ("targets-out-of-range",),
        "answers-shuffled": ("predicts-the-mean", "labels-differ"),
    },
    sound=("plain", "cosine"),
)
def spring_physics(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed + 31)
    x, y, _ = measured(3000, rng)
    x_test, y_test, clean = measured(600, rng)
    unit = 1e4 if variant == "in-micrometres" else 1.0
    if variant == "answers-shuffled":
        y = y[torch.randperm(len(y))]
    y, y_test, clean = unit * y, unit * y_test, unit * clean
    act = nn.functional.gelu if variant == "cosine" else torch.tanh
    net = Spring(80 if variant == "cosine" else 48, act, variant == "sigmoid-end")
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    epochs = 14
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

    def objective(inputs, answers):
        out = net(inputs)
        if variant == "row-and-column":
            row = answers.squeeze(1)
            data = sum(
                torch.maximum(q * (row - out[:, [i]]), (q - 1) * (row - out[:, [i]])).mean()
                for i, q in enumerate(LEVELS)
            )
        else:
            data = pinball(out, answers)
        return data, at_rest(net, inputs), out

    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(100):
                data, physics, out = objective(x[rows], y[rows])
                loss = data + 0.02 * physics
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.step(
                    loss,
                    inputs=x[rows],
                    outputs=out,
                    targets=y[rows],
                    parts={"data": data, "physics": physics},
                )
            if variant == "cosine":
                schedule.step()
            with torch.no_grad():
                data, physics, out = objective(x_test, y_test)
                monitor.validate(loss=float(data + 0.02 * physics))
    error = (out[:, 1:2] - clean).pow(2).mean() / clean.var()
    return Outcome(float(error), bool(error < 0.15))
