"""Islands in noisy maps, segmented by a small convolutional net with Dice and cross-entropy."""

import math

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def maps(n, seed):
    rng = torch.Generator().manual_seed(seed)
    axis = torch.arange(24.0)
    land = torch.zeros(n, 24, 24)
    for _ in range(3):
        cy, cx = 3 + 18 * torch.rand(2, n, 1, 1, generator=rng)
        r = 2 + 3 * torch.rand(n, 1, 1, generator=rng)
        inside = (axis[:, None] - cy) ** 2 + (axis[None] - cx) ** 2 < r**2
        land = torch.maximum(land, inside.float())
    light = 0.25 + 0.35 * land + 0.12 * torch.randn(n, 24, 24, generator=rng)
    return light.clamp(0, 1).unsqueeze(1), land.unsqueeze(1)


class Segmenter(nn.Module):
    def __init__(self, width=12, normed=False):
        super().__init__()
        layers, last = [], 1
        for dilation in (1, 2, 1):
            layers.append(nn.Conv2d(last, width, 3, padding=dilation, dilation=dilation))
            layers += [nn.BatchNorm2d(width)] if normed else []
            layers.append(nn.LeakyReLU(0.1))
            last = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        return self.out(self.layers(x))


def dice_loss(p, y):
    overlap = (p * y).sum((1, 2, 3))
    return (1 - (2 * overlap + 1) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) + 1)).mean()


def entropy_loss(p, y, eps=1e-6):
    return -(y * (p + eps).log() + (1 - y) * (1 - p + eps).log()).mean()


@family(
    kind="segmentation",
    loss="own",
    faults={
        "dice-of-logits": ("loss-does-not-fit-output", "output-activation", "loss-unbounded"),
        "sigmoid-in-both": ("activation-twice",),
        "log-of-zero": ("loss-not-finite", "output-activation"),
        "minus-forgotten": ("loss-unbounded",),
    },
    sound=("plain", "batch-norm"),
)
def islands_dice(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = maps(240, seed)
    x_val, y_val = maps(60, seed + 333)
    net = Segmenter(normed=variant == "batch-norm")
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

    def criterion(logits, truth):
        p = torch.sigmoid(logits)
        if variant == "dice-of-logits":
            return dice_loss(logits, truth)
        if variant == "sigmoid-in-both":
            p = torch.sigmoid(p)
        if variant == "log-of-zero":
            p = logits.clamp(0, 1)
            return dice_loss(p, truth) + entropy_loss(p, truth, eps=0.0)
        if variant == "minus-forgotten":
            log_p, log_rest = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
            return dice_loss(p, truth) + (truth * log_p + (1 - truth) * log_rest).mean()
        return dice_loss(p, truth) + entropy_loss(p, truth)

    with watch(net, optimizer) as monitor:
        for _ in range(10):
            net.train()
            for rows in torch.randperm(len(x)).split(12):
                logits = net(x[rows])
                loss = criterion(logits, y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.step(
                    loss, inputs=x[rows], outputs=logits, targets=y[rows], loss_fn=criterion
                )
            net.eval()
            with torch.no_grad():
                answer = net(x_val)
                final = criterion(answer, y_val).item()
                hit = (answer > 0).float()
                dice = 2 * (hit * y_val).sum() / (hit.sum() + y_val.sum())
                monitor.validate(loss=final, dice=dice.item())
    return Outcome(float(dice), bool(dice > 0.85 and math.isfinite(final)))
