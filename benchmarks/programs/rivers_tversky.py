"""Thin rivers on a noisy ground: two-channel answer, focal term and a focal Tversky term."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


def rivers(count, generator):
    x = torch.linspace(0, 1, 24)
    a, b, phase = torch.rand(3, count, 1, generator=generator)
    middle = 12 + 6 * (2 * a - 1) + (2 + 3 * b) * torch.sin(2 * math.pi * (x + phase))
    rows = torch.arange(24.0)[None, :, None]
    water = (rows - middle[:, None, :]).abs() < 1.5
    noise = torch.randn(count, 24, 24, generator=generator)
    slope = torch.randn(count, 1, 1, generator=generator) * 0.5 * x
    return (0.7 * water + 0.3 * noise + slope).unsqueeze(1), water.long()


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())


class RiverNet(nn.Module):
    def __init__(self, p_drop=0.0):
        super().__init__()
        self.stem = conv(1, 8)
        self.down = conv(8, 16)
        self.drop = nn.Dropout(p_drop)
        self.up = conv(16, 8)
        self.join = conv(16, 8)
        self.classes = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        fine = self.stem(x)
        coarse = self.drop(self.down(F.avg_pool2d(fine, 2)))
        coarse = self.up(F.interpolate(coarse, scale_factor=2))
        return self.classes(self.join(torch.cat([fine, coarse], 1)))


class FocalTversky:
    def __init__(self, twice=False, alpha=0.3, beta=0.7, gamma=1.33):
        self.twice, self.alpha, self.beta, self.gamma = twice, alpha, beta, gamma

    def probability(self, scores):
        probability = torch.softmax(scores, 1)[:, 1]
        return torch.sigmoid(probability) if self.twice else probability

    def __call__(self, scores, water):
        probability = self.probability(scores)
        truth = water.float()
        right = (probability * truth).sum()
        extra = (probability * (1 - truth)).sum()
        missed = ((1 - probability) * truth).sum()
        index = right / (right + self.alpha * extra + self.beta * missed + 1e-6)
        tversky = (1 - index).clamp_min(1e-6) ** self.gamma
        chance = torch.where(water.bool(), probability, 1 - probability).clamp(1e-6, 1)
        focal = -((1 - chance) ** 2 * chance.log()).mean()
        return tversky + 2 * focal


@family(
    kind="segmentation",
    loss="own",
    faults={
        "softmax-then-sigmoid": ("activation-twice",),
        "nothing-cleared": ("gradients-accumulate",),
        "rate-thousandth": ("rate-too-low",),
        "answer-zeroed": ("initialisation", "dead-units", "same-answer-for-all"),
    },
    sound=("plain", "dropout"),
)
def rivers_tversky(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed * 13)
    train = DataLoader(TensorDataset(*rivers(200, generator)), batch_size=8, shuffle=True)
    images, water = rivers(60, generator)
    net = RiverNet(0.3 if variant == "dropout" else 0.0)
    if variant == "answer-zeroed":
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
    rate = 5e-5 if variant == "rate-thousandth" else 0.05
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    loss_of = FocalTversky(twice=variant == "softmax-then-sigmoid")
    with watch(net, optimizer) as monitor:
        for _ in range(7):
            net.train()
            for x, y in train:
                if variant != "nothing-cleared":
                    optimizer.zero_grad()
                scores = net(x)
                loss = loss_of(scores, y)
                loss.backward()
                optimizer.step()
                monitor.step(loss, outputs=scores, targets=y)
            net.eval()
            with torch.no_grad():
                scores = net(images)
                guess = (loss_of.probability(scores) > 0.5).long()
                iou = (guess & water).sum() / (guess | water).sum().clamp_min(1)
                monitor.validate(loss=float(loss_of(scores, water)), iou=float(iou))
    return Outcome(float(iou), bool(iou > 0.7))
