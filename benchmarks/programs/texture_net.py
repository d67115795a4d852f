"""Five kinds of woven texture, low in contrast, and a convolutional net with batch norm."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.programs.frame import Outcome, Watch, family


def cloths(n: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    kind = torch.arange(n) * 5 // n  # as a folder a class is read
    rows, cols = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    phase = torch.rand(n, 2, 1, 1, generator=g) * 2 * math.pi
    pitch = 1.1 + 0.5 * torch.rand(n, 1, 1, generator=g)
    across = torch.sin(pitch * rows + phase[:, 0])
    along = torch.sin(pitch * cols + phase[:, 1])
    slant = torch.sin(pitch * (rows + cols) * 0.7 + phase[:, 0])
    back = torch.sin(pitch * (rows - cols) * 0.7 + phase[:, 1])
    every = torch.stack([across, along, slant, back, across * along * 1.4], dim=1)
    pictures = every[torch.arange(n), kind]
    pictures = pictures + 0.8 * torch.randn(n, 16, 16, generator=g)
    return (0.5 + 0.06 * pictures).unsqueeze(1), kind


class TextureNet(nn.Module):
    def __init__(self, width: int = 8, drop: float = 0.0, softmax: bool = False):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Dropout2d(drop),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(drop),
            nn.Linear(2 * width * 16, 32, bias=False),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Linear(32, 5),
        )
        self.last = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x):
        return self.last(self.head(self.features(x)))


@family(
    kind="classification",
    loss="standard",
    faults={
        "softmax-then-ce": ("activation-twice", "output-activation"),
        "eval-never-left": ("mode-not-restored",),
        "pairs": ("batch-norm-tiny-batch", "batch-size"),
        "sorted": ("data-not-shuffled",),
        "dropout-0.9": ("dropout-too-high",),
    },
    sound=("sgd", "wide-smoothed"),
)
def texture_net(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x, y = cloths(1500, 1)
    x_test, y_test = cloths(500, 2)
    if variant == "wide-smoothed":
        net, loss_fn = TextureNet(12, 0.1), nn.CrossEntropyLoss(label_smoothing=0.05)
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    else:
        drop = 0.9 if variant == "dropout-0.9" else 0.0
        net, loss_fn = TextureNet(8, drop, variant == "softmax-then-ce"), nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(
        TensorDataset(x, y),
        batch_size=2 if variant == "pairs" else 32,
        shuffle=variant != "sorted",
        drop_last=True,
    )
    epochs = 1 if variant == "pairs" else 5
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5, eta_min=1e-4)

    if variant == "eval-never-left":
        net.eval()
        with torch.no_grad():
            net(x_test[:8])  # do the shapes fit?
    with watch(net, optimizer) as monitor:
        for _ in range(epochs):
            if variant != "eval-never-left":
                net.train()
            for images, labels in loader:
                logits = net(images)
                loss = loss_fn(logits, labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=images, outputs=logits, targets=labels, loss_fn=loss_fn)
            scheduler.step()
            net.eval()
            with torch.no_grad():
                logits = net(x_test)
                hits = (logits.argmax(1) == y_test).float().mean().item()
                monitor.validate(loss=loss_fn(logits, y_test).item(), accuracy=hits)

    net.eval()
    with torch.no_grad():
        chance = net(x_test).softmax(1)
    score = chance[torch.arange(500), y_test].mean().item()  # probability given to the right class
    return Outcome(score, score > 0.75)
