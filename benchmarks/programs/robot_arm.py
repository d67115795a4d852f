"""Where is the hand of a two-jointed arm? Forward kinematics, learned with a log-cosh loss."""

import itertools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.programs.frame import Outcome, Watch, family


def log_cosh(prediction, target):
    d = prediction - target
    return (d + F.softplus(-2 * d) - math.log(2)).mean()


def arm(n):
    angles = (torch.rand(n, 2) * 2 - 1) * math.pi
    shoulder, elbow = angles[:, 0], angles[:, 0] + 0.5 * angles[:, 1]
    hand = torch.stack(
        [0.6 * shoulder.cos() + 0.4 * elbow.cos(), 0.6 * shoulder.sin() + 0.4 * elbow.sin()], 1
    )
    return angles / math.pi, hand + 0.03 * torch.randn(n, 2)


def mlp(width=64, act=nn.Tanh, depth=2, last=None):
    sizes = [2] + [width] * depth
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    layers.append(nn.Linear(width, 2))
    if last is not None:
        layers.append(last)
    return nn.Sequential(*layers)


@family(
    kind="regression",
    loss="own",
    faults={
        "sigmoid-out": ("output-activation", "targets-out-of-range"),
        "relu-out": ("output-activation", "targets-out-of-range", "dead-units"),
        "micrometres": ("targets-out-of-range", "wrong-initial-loss"),
        "step-first": ("step-before-backward", "weights-do-not-move"),
        "first-draft": ("weights-do-not-move",),
        "cosine-per-batch": ("schedule-per-batch", "rate-cannot-reach"),
        "momentum-999": ("momentum-too-high", "rate-too-high"),
        "rate-10": ("rate-too-high", "saturated-units"),
        "22-sigmoids": ("vanishing-gradient",),
    },
    sound=("tanh", "gelu-momentum-99", "stopped-early"),
)
def robot_arm(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = arm(2400)
    x_val, y_val = arm(500)
    if variant == "micrometres":
        y, y_val = y * 1e6, y_val * 1e6

    last = {"sigmoid-out": nn.Sigmoid(), "relu-out": nn.ReLU()}.get(variant)
    if variant == "22-sigmoids":
        model = mlp(width=32, act=nn.Sigmoid, depth=22)
    else:
        model = mlp(act=nn.GELU if variant.startswith("gelu") else nn.Tanh, last=last)
    lr, momentum = 0.1, 0.9
    if variant == "gelu-momentum-99":
        lr, momentum = 0.02, 0.99
    if variant == "momentum-999":
        lr, momentum = 0.3, 0.999
    if variant == "rate-10":
        lr = 10.0
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    if variant == "first-draft":
        # a second look at the width, made after the optimizer
        model = mlp(width=96)
    epochs = 12 if variant == "stopped-early" else 30
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda e: 0.5 * (1 + math.cos(math.pi * min(e / 30, 1)))
    )

    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for i in range(0, len(x), 64):
                xb, yb = x[order[i : i + 64]], y[order[i : i + 64]]
                optimizer.zero_grad()
                pred = model(xb)
                loss = log_cosh(pred, yb)
                if variant == "step-first":
                    optimizer.step()
                    loss.backward()
                else:
                    loss.backward()
                    optimizer.step()
                if variant == "cosine-per-batch":
                    decay.step()
                monitor.step(loss, inputs=xb, outputs=pred, targets=yb, loss_fn=log_cosh)
            if variant != "cosine-per-batch":
                decay.step()

    with torch.no_grad():
        left = (model(x_val) - y_val).pow(2).mean() / y_val.var(0).mean()
    r2 = 1 - left.item()
    return Outcome(r2, r2 > 0.95)
