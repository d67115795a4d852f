"""Pulses of a sensor, from -1 to 1, squeezed into six numbers and drawn again."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.programs.frame import Outcome, Watch, family


def pulses(n: int, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, 64)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, 1, generator=g)

    wave = uniform(0.2, 0.6) * torch.sin(2 * math.pi * (uniform(0.8, 2.2) * t + uniform(0, 1)))
    sign = torch.where(torch.rand(n, 1, generator=g) < 0.5, -1.0, 1.0)
    peak = sign * uniform(0.4, 0.8) * torch.exp(-(((t - uniform(0.2, 0.8)) / 0.1) ** 2))
    return (wave + peak + 0.03 * torch.randn(n, 64, generator=g)).clamp(-1, 1)


class Squeeze(nn.Module):
    def __init__(self, width=96, cut=False, sigmoid=False):
        super().__init__()
        self.cut, self.sigmoid = cut, sigmoid
        self.enc1, self.enc2 = nn.Linear(64, width), nn.Linear(width, 6)
        self.dec1, self.dec2 = nn.Linear(6, width), nn.Linear(width, 64)

    def encode(self, x):
        return self.enc2(F.leaky_relu(self.enc1(x), 0.1))

    def forward(self, x):
        code = self.encode(x)
        if self.cut:
            code = code.detach()
        y = self.dec2(F.leaky_relu(self.dec1(code), 0.1))
        return torch.sigmoid(y) if self.sigmoid else y


@family(
    kind="autoencoder",
    loss="standard",
    faults={
        "sigmoid": ("output-activation", "targets-out-of-range"),
        "detached": ("weights-do-not-move",),
        "step-first": ("step-before-backward", "weights-do-not-move"),
        "momentum-0.999": ("momentum-too-high",),
    },
    sound=("adam", "sgd-clipped"),
)
def pulse_autoencoder(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, x_valid = pulses(2560, 1), pulses(512, 2)
    model = Squeeze(
        width=128 if variant == "sgd-clipped" else 96,
        cut=variant == "detached",
        sigmoid=variant == "sigmoid",
    )
    if variant == "sgd-clipped":
        opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, nesterov=True)
    elif variant == "momentum-0.999":
        opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.999)
    else:
        opt = torch.optim.Adam(model.parameters(), lr=3e-3)

    with watch(model, opt) as monitor:
        for _ in range(12):
            perm = torch.randperm(len(x))
            for i in range(0, len(x), 64):
                batch = x[perm[i : i + 64]]
                opt.zero_grad()
                recon = model(batch)
                loss = F.mse_loss(recon, batch)
                if variant == "step-first":
                    opt.step()
                    loss.backward()
                else:
                    loss.backward()
                    if variant == "sgd-clipped":
                        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    opt.step()
                monitor.step(loss, inputs=batch, outputs=recon, targets=batch)
            with torch.no_grad():
                monitor.validate(loss=F.mse_loss(model(x_valid), x_valid).item())

    with torch.no_grad():
        error = F.mse_loss(model(x_valid), x_valid)
        score = (error / (x_valid - x.mean(0)).square().mean()).item()  # 1: the mean pulse
    return Outcome(score, score < 0.12)
