"""SimCLR on scikit-learn's digits, as a student who follows the paper would write it."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

from benchmarks.programs.frame import Outcome, Watch, family


class Encoder(nn.Module):
    def __init__(self, width: int = 12, dim: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.fc = nn.Linear(2 * width * 16, 64)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(64, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.head(self.fc(x.flatten(1)))


def augment(x: torch.Tensor) -> torch.Tensor:
    """Shift by up to a pixel, change the contrast, add noise."""
    padded = F.pad(x, (1, 1, 1, 1))
    out = torch.empty_like(x)
    dy = torch.randint(0, 3, (len(x),))
    dx = torch.randint(0, 3, (len(x),))
    for a in range(3):
        for b in range(3):
            chosen = (dy == a) & (dx == b)
            out[chosen] = padded[chosen][:, :, a : a + 8, b : b + 8]
    out = out * torch.empty(len(x), 1, 1, 1).uniform_(0.6, 1.4)
    return out + 0.05 * torch.randn_like(out)


def info_nce(z1: torch.Tensor, z2: torch.Tensor, temperature: float, shift: int = 0):
    z1 = F.normalize(z1, dim=1)
    z2 = F.normalize(z2, dim=1)
    logits = z1 @ z2.t() / temperature
    labels = (torch.arange(len(z1)) + shift) % len(z1)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


@torch.no_grad()
def retrieval(model: nn.Module, images: torch.Tensor) -> float:
    """How often the nearest of 64 second views is that of the same image."""
    model.eval()
    hits = 0.0
    for part in images.split(64):
        z1 = F.normalize(model(augment(part)), dim=1)
        z2 = F.normalize(model(augment(part)), dim=1)
        hits += ((z1 @ z2.t()).argmax(1) == torch.arange(len(part))).float().sum().item()
    model.train()
    return hits / len(images)


@family(
    kind="contrastive",
    loss="own",
    faults={
        "only-positives": ("features-collapsed",),
        "next-image": ("predicts-the-mean", "features-collapsed"),
        "temperature-1e-4": ("rate-too-high", "exploding-gradient", "loss-spike"),
        "temperature-100": (
            "rate-too-low",
            "vanishing-gradient",
            "loss-does-not-fit-output",
            "output-activation",
            "predicts-the-mean",
        ),
        "negatives-masked": ("weights-do-not-move", "vanishing-gradient"),
    },
    sound=("adam", "sgd-cosine", "wide-cool"),
)
def simclr_digits(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16.0
    order = torch.randperm(len(images))
    train, test = images[order[256:]], images[order[:256]]

    model = Encoder(width=16 if variant == "wide-cool" else 12)
    temperature = {"wide-cool": 0.2, "temperature-1e-4": 1e-4, "temperature-100": 100.0}
    tau = temperature.get(variant, 0.1)
    if variant in ("sgd-cosine", "temperature-100", "temperature-1e-4"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    epochs, batch = 14, 128
    schedule = None
    if variant == "sgd-cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

    def criterion(z1: torch.Tensor, z2: torch.Tensor) -> torch.Tensor:
        if variant == "only-positives":
            return 1 - F.cosine_similarity(z1, z2, dim=1).mean()
        if variant == "negatives-masked":
            logits = F.normalize(z1, dim=1) @ F.normalize(z2, dim=1).t() / tau
            mask = torch.eye(len(z1), dtype=torch.bool)
            return F.cross_entropy(logits.masked_fill(~mask, -math.inf), torch.arange(len(z1)))
        return info_nce(z1, z2, tau, shift=1 if variant == "next-image" else 0)

    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            perm = torch.randperm(len(train))
            for start in range(0, len(train) - batch + 1, batch):
                x = train[perm[start : start + batch]]
                v1, v2 = augment(x), augment(x)
                z1, z2 = model(v1), model(v2)
                loss = criterion(z1, z2)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=v1, outputs=z1, features=(z1, z2))
            if schedule is not None:
                schedule.step()
            monitor.validate(accuracy=retrieval(model, test))
    score = retrieval(model, test)
    return Outcome(score, score > 0.6)
