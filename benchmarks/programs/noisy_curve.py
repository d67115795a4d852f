"""A mean and its uncertainty along a curve, with likelihood or quantiles written by hand.

The noise grows along x; as somebody who forecasts demand would write it.
"""

import math

import torch
import torch.nn as nn

from benchmarks.programs.frame import Outcome, Watch, family

QUANTILES = torch.tensor([0.1, 0.5, 0.9])


def curve(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = torch.rand(n, 3) * 2 - 1
    truth = torch.sin(4 * x[:, :1]) + x[:, 1:2] * x[:, 2:]
    sigma = 0.1 + 0.25 * (x[:, :1] + 1) / 2
    return x, truth + sigma * torch.randn(n, 1), truth


def gaussian_nll(mean, log_var, y):
    return (0.5 * (log_var + (y - mean) ** 2 / log_var.exp() + math.log(2 * math.pi))).mean()


def pinball(out, y):
    error = y - out
    return torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()


@family(
    kind="regression",
    loss="own",
    faults={
        "variance-unbounded-below": ("loss-not-finite", "output-activation", "loss-unbounded"),
        "log-variance-left-out": ("loss-does-not-fit-output", "loss-unbounded"),
        "flat-targets": ("shapes-broadcast",),
        "targets-in-grams": ("targets-out-of-range",),
        "pinball-sign": ("loss-unbounded", "loss-does-not-fit-output"),
    },
    sound=("nll", "quantiles"),
)
def noisy_curve(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y, _ = curve(1500)
    x_test, _, truth = curve(500)
    unit, offset = (1.0, 0.0) if variant != "targets-in-grams" else (4e3, 2e4)
    y = y * unit + offset
    if variant == "flat-targets":
        y = y.squeeze(1)

    quantiles = variant in ("quantiles", "pinball-sign")
    model = nn.Sequential(
        nn.Linear(3, 48),
        nn.Tanh(),
        nn.Linear(48, 48),
        nn.Tanh(),
        nn.Linear(48, 3 if quantiles else 2),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    if variant == "quantiles":
        optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)

    def criterion(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if variant == "quantiles":
            return pinball(out, y)
        if variant == "pinball-sign":
            error = y - out
            return torch.minimum(QUANTILES * error, (QUANTILES - 1) * error).mean()
        mean, second = out.chunk(2, dim=1)
        if variant == "variance-unbounded-below":
            return (0.5 * (torch.log(second) + (y - mean) ** 2 / second)).mean()
        if variant == "log-variance-left-out":
            return (0.5 * (y - mean) ** 2 / second.exp()).mean()
        return gaussian_nll(mean, second, y)

    with watch(model, optimizer) as monitor:
        for _epoch in range(30):
            for rows in torch.randperm(len(x)).split(60):
                out = model(x[rows])
                loss = criterion(out, y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=x[rows], outputs=out, targets=y[rows])
    with torch.no_grad():
        out = model(x_test)
    middle = out[:, 1:2] if quantiles else out[:, :1]
    error = ((middle - offset) / unit - truth).pow(2).mean() / truth.var()
    score = 1 - error.item()
    return Outcome(score, score > 0.85)
