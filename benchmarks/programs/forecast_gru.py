"""How fast does a noisy wave swing? A GRU reads it and says, trained with RMSprop and clipping."""

import math

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def waves(n: int, noise: float, length: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    speed = torch.rand(n, 1) * 2 - 1
    phase = torch.rand(n, 1) * 2 * math.pi
    time = torch.arange(length).float()
    wave = torch.sin((0.6 + 0.35 * speed) * time + phase)
    return (wave + noise * torch.randn(n, length)).unsqueeze(-1), speed.squeeze(1)


class SpeedReader(nn.Module):
    def __init__(self, width: int = 24, stacked: bool = False, last: str = ""):
        super().__init__()
        cells = [nn.GRU(1, width, batch_first=True), nn.GRU(width, width, batch_first=True)]
        self.cells = cells if stacked else nn.ModuleList(cells[:1])
        self.head = nn.Linear(width, 1)
        self.last = last
        self.cut = False

    def forward(self, x):
        for cell in self.cells:
            x, _ = cell(x)
        h = x[:, -1]
        if self.cut:
            h = h.detach()
        out = self.head(h)
        return torch.sigmoid(out) if self.last == "sigmoid" else out


@family(
    kind="regression",
    loss="standard",
    faults={
        "column-and-row": ("shapes-broadcast",),
        "sigmoid-out": ("output-activation", "targets-out-of-range"),
        "zero-grad-late": ("gradients-cleared-before-step",),
        "detached": ("weights-do-not-move",),
        "plain-list": ("weights-do-not-move",),
        "rate-1e-7": ("rate-too-low",),
        "adam-half": ("rate-too-high",),
        "clip-1e-6": ("weights-do-not-move", "rate-too-low"),
    },
    sound=("clipped", "adam", "very-noisy"),
)
def forecast_gru(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    noise = 1.2 if variant == "very-noisy" else 0.2
    x, y = waves(1000, noise)
    x_test, y_test = waves(500, noise)

    model = SpeedReader(
        stacked=variant == "plain-list", last="sigmoid" if variant == "sigmoid-out" else ""
    )
    model.cut = variant == "detached"
    if variant == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    elif variant == "adam-half":
        optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    elif variant == "clip-1e-6":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    else:
        rate = 1e-7 if variant == "rate-1e-7" else 3e-3
        optimizer = torch.optim.RMSprop(model.parameters(), lr=rate)
    criterion = nn.MSELoss()
    limit = 1e-6 if variant == "clip-1e-6" else 1.0

    with watch(model, optimizer) as monitor:
        for _ in range(14):
            for rows in torch.randperm(1000).split(50):
                batch, speed = x[rows], y[rows]
                if variant != "zero-grad-late":
                    optimizer.zero_grad()
                answer = model(batch)
                if variant != "column-and-row":
                    answer = answer.squeeze(-1)
                loss = criterion(answer, speed)
                loss.backward()
                if variant == "zero-grad-late":
                    optimizer.zero_grad()
                nn.utils.clip_grad_norm_(model.parameters(), limit)
                optimizer.step()
                if variant in ("column-and-row", "sigmoid-out", "adam"):
                    monitor.step(loss, inputs=batch, outputs=answer, targets=speed)
                else:
                    monitor.step(loss, inputs=batch)

    with torch.no_grad():
        error = (model(x_test).squeeze(-1) - y_test).pow(2).mean()
    r2 = 1 - (error / y_test.var()).item()
    return Outcome(r2, r2 > (0.15 if variant == "very-noisy" else 0.8))
