"""Three arms of a swirl in the plane, told apart by a dense net that gives log-probabilities."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def swirl(n, rng):
    arm = rng.integers(0, 3, n)
    radius = np.sqrt(rng.uniform(0.05, 1, n))
    angle = 4.0 * radius + arm * 2 * np.pi / 3 + rng.normal(0, 0.15, n)
    points = 2 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return torch.from_numpy(points).float(), torch.from_numpy(arm)


def dense(depth, width, act, last):
    sizes = [2] + [width] * depth
    layers = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers, nn.Linear(width, 3), *last)


@family(
    kind="classification",
    loss="standard",
    faults={
        "raw-logits": ("loss-unbounded", "output-activation", "loss-does-not-fit-output"),
        "twenty-layers": ("vanishing-gradient",),
        "zero-start": ("initialisation",),
        "rate-10": ("rate-too-high",),
        "one-epoch": ("too-few-epochs",),
    },
    sound=("relu", "tanh-momentum"),
)
def swirl_depth(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    rng = np.random.default_rng(21)
    x, y = swirl(1500, rng)
    held_x, held_y = swirl(600, rng)
    last = [] if variant == "raw-logits" else [nn.LogSoftmax(dim=1)]
    if variant == "tanh-momentum":
        net = dense(2, 64, nn.Tanh, last)
        opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    elif variant in ("raw-logits", "rate-10"):
        net = dense(3, 32, nn.ReLU, last)
        opt = torch.optim.Adam(net.parameters(), lr=10 if variant == "rate-10" else 2e-3)
    else:
        depth = 20 if variant == "twenty-layers" else 3
        net = dense(depth, 32, nn.ReLU, last)
        opt = torch.optim.SGD(net.parameters(), lr=0.2)
    if variant == "zero-start":
        for p in net.parameters():
            nn.init.zeros_(p)

    criterion = nn.NLLLoss()
    with watch(net, opt) as monitor:
        for _ in range(1 if variant == "one-epoch" else 40):
            order = torch.randperm(1500)
            for idx in order.split(50):
                log_p = net(x[idx])
                loss = criterion(log_p, y[idx])
                opt.zero_grad()
                loss.backward()
                opt.step()
                monitor.step(loss, inputs=x[idx])

    with torch.no_grad():
        score = (net(held_x).argmax(1) == held_y).float().mean().item()
    return Outcome(score, score > 0.97)
