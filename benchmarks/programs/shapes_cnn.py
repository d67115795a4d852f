"""Discs, squares, crosses and rings told apart by a convolutional net with one-cycle and AdamW."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


def draw(n: int, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    kinds = torch.randint(4, (n,))
    grid = torch.arange(size).float()
    cx, cy = (torch.rand(2, n, 1, 1) * 6 + 5).unbind(0)
    radius = torch.rand(n, 1, 1) * 2 + 3
    dx, dy = grid.view(1, 1, -1) - cx, grid.view(1, -1, 1) - cy
    far = (dx**2 + dy**2).sqrt()
    disc = far < radius
    square = torch.maximum(dx.abs(), dy.abs()) < radius * 0.9
    cross = (torch.minimum(dx.abs(), dy.abs()) < 1.2) & (far < radius * 1.3)
    ring = disc & (far > radius - 1.6)
    every = torch.stack([disc, square, cross, ring], 1).float()
    picture = every[torch.arange(n), kinds] * (torch.rand(n, 1, 1) * 0.6 + 0.4)
    return (picture + 0.1 * torch.randn(n, size, size)).unsqueeze(1), kinds


class ShapeNet(nn.Module):
    def __init__(self, norm: str = "batch", drop: float = 0.0):
        super().__init__()

        def norm2d(c: int) -> nn.Module:
            return nn.GroupNorm(4, c) if norm == "group" else nn.BatchNorm2d(c)

        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            norm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            norm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 32),
            nn.LayerNorm(32) if norm == "group" else nn.BatchNorm1d(32),
            nn.ReLU(),
        )
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.drop(self.body(x)))


@family(
    kind="classification",
    loss="standard",
    faults={
        "off-by-one": ("labels-differ", "split-differs"),
        "sorted": ("data-not-shuffled",),
        "pairs": ("batch-norm-tiny-batch", "batch-size"),
        "short-cycle": ("rate-cannot-reach",),
        "constant-start": ("initialisation",),
        "frozen-body": ("weights-do-not-move",),
        "clip-1e-6": ("weights-do-not-move", "rate-too-low"),
        "few-pictures": ("memorises",),
    },
    sound=("one-cycle", "group-norm", "smoothing"),
)
def shapes_cnn(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = draw(1200)
    x_val, y_val = draw(400)
    epochs, batch = 8, 40
    if variant == "group-norm":
        epochs, batch = 4, 8
    if variant == "pairs":
        epochs, batch = 1, 2
    if variant == "few-pictures":
        x, y, epochs, batch = x[:24], y[:24], 60, 8
    if variant == "off-by-one":
        y = (y + 1) % 4
    if variant == "sorted":
        by_kind = y.argsort()
        x, y = x[by_kind], y[by_kind]
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=variant != "sorted")

    model = ShapeNet("group" if variant == "group-norm" else "batch")
    if variant == "constant-start":
        for p in model.parameters():
            nn.init.constant_(p, 0.05)
    if variant == "frozen-body":
        model.body.requires_grad_(False)
    if variant == "clip-1e-6":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    steps = epochs * len(loader)
    planned = 12 if variant == "short-cycle" else steps
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=planned
    )
    smoothing = 0.1 if variant == "smoothing" else 0.0

    seen = 0
    with watch(model, optimizer) as monitor:
        for _ in range(epochs):
            model.train()
            for pictures, labels in loader:
                logits = model(pictures)
                loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
                optimizer.zero_grad()
                loss.backward()
                if variant == "clip-1e-6":
                    nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
                optimizer.step()
                seen += 1
                if seen < planned:
                    scheduler.step()
                monitor.step(loss, outputs=logits, targets=labels)
            model.eval()
            with torch.no_grad():
                logits = model(x_val)
            val_loss = F.cross_entropy(logits, y_val).item()
            accuracy = (logits.argmax(1) == y_val).float().mean().item()
            monitor.validate(loss=val_loss, accuracy=accuracy)

    return Outcome(accuracy, accuracy > 0.9)
