"""Bikes hired per hour, from weather and clock: a regression with Adam, by a data analyst."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.programs.frame import Outcome, Watch, family


def hours(n: int = 2400):
    g = torch.Generator().manual_seed(11)
    hour = torch.rand(n, generator=g) * 24
    temperature = torch.randn(n, generator=g)
    rain = (torch.rand(n, generator=g) < 0.2).float()
    weekend = (torch.rand(n, generator=g) < 2 / 7).float()
    angle = hour / 24 * 2 * math.pi
    clock = [angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()]
    commute = torch.exp(-((hour - 8) ** 2) / 4) + torch.exp(-((hour - 17.5) ** 2) / 5)
    leisure = torch.exp(-((hour - 14) ** 2) / 16)
    base = 60 + 240 * (commute * (1 - weekend) + leisure * weekend)
    count = base * (1 + 0.25 * torch.tanh(temperature)) * (1 - 0.5 * rain)
    count = (count + 12 * torch.randn(n, generator=g)).clamp_min(0)
    x = torch.stack([*clock, temperature, rain, weekend], dim=1)
    wind = torch.randn(n, 1, generator=g)
    return torch.cat([x, wind], dim=1), count


class HireNet(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Linear(8, width)
        self.second = nn.Linear(width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        h = F.relu(self.first(x))
        h = F.relu(self.second(h))
        return self.out(h)


@family(
    kind="regression",
    loss="standard",
    faults={
        "column-against-row": ("shapes-broadcast",),
        "raw-counts": ("targets-out-of-range",),
        "cents-a-day": ("targets-out-of-range",),
        "cleared-late": ("gradients-cleared-before-step", "weights-do-not-move"),
        "large-start": ("initialisation", "wrong-initial-loss"),
        "rate-1e-7": ("rate-too-low",),
    },
    sound=("standardised", "smooth-l1"),
)
def bike_hire(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, count = hours()
    mean, std = count[:1800].mean(), count[:1800].std()
    if variant == "raw-counts":
        y = count
    elif variant == "cents-a-day":
        y = count * 24 * 300  # takings, about a million
    else:
        y = (count - mean) / std
    if variant != "column-against-row":
        y = y.unsqueeze(1)
    x_train, y_train, x_valid, y_valid = x[:1800], y[:1800], x[1800:], y[1800:]

    model = HireNet(48 if variant == "smooth-l1" else 64)
    if variant == "large-start":
        with torch.no_grad():
            for weights in model.parameters():
                weights *= 8
    loss_function = nn.SmoothL1Loss() if variant == "smooth-l1" else nn.MSELoss()
    lr = 1e-7 if variant == "rate-1e-7" else 1e-3
    if variant == "smooth-l1":
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    with watch(model, optimizer) as monitor:
        for _epoch in range(25):
            for rows in torch.randperm(1800).split(60):
                prediction = model(x_train[rows])
                loss = loss_function(prediction, y_train[rows])
                if variant == "cleared-late":
                    loss.backward()
                    optimizer.zero_grad()
                    optimizer.step()
                else:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                monitor.step(loss, outputs=prediction, targets=y_train[rows])

    with torch.no_grad():
        error = model(x_valid).flatten() - y_valid.flatten()
    score = (error.square().mean() / y_valid.var()).item()  # 1: as good as the mean
    return Outcome(score, score < 0.15)
