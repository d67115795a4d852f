"""Disc, square, triangle or cross: 8-bit images from a Dataset, a plain CNN."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

SIZE = 24
CLASSES = ["disc", "square", "triangle", "cross"]


def draw(kind, rng):
    """An image of SIZE x SIZE bytes: one bright shape on a noisy background."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    r = rng.integers(4, 8)
    cy, cx = rng.integers(r, SIZE - r, size=2)
    dy, dx = yy - cy, xx - cx
    if kind == 0:
        mask = dy**2 + dx**2 <= r**2
    elif kind == 1:
        mask = np.maximum(abs(dy), abs(dx)) <= 0.85 * r
    elif kind == 2:
        mask = (abs(dx) <= (dy + r) / 2) & (dy <= r)
    else:
        mask = (np.minimum(abs(dy), abs(dx)) <= 1) & (np.maximum(abs(dy), abs(dx)) <= r)
    image = rng.normal(60, 25, (SIZE, SIZE)) + mask * rng.uniform(80, 150)
    return image.clip(0, 255).astype(np.uint8)


class ShapesDataset(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(0, len(CLASSES), n)
        self.images = [draw(kind, rng) for kind in self.targets]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index].astype(np.float32)[None]
        image = image / 127.5 - 1
        return torch.from_numpy(image), int(self.targets[index])


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(24 * (SIZE // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, len(CLASSES)),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def test(model, loader, criterion):
    model.eval()
    total, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            total += criterion(output, target).item() * len(data)
            correct += (output.argmax(1) == target).sum().item()
    return total / len(loader.dataset), correct / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(42)
    train_loader = DataLoader(ShapesDataset(1800, seed=0), batch_size=50, shuffle=True)
    test_loader = DataLoader(ShapesDataset(400, seed=1), batch_size=200)
    model = ConvNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for epoch in range(1, 9):
        model.train()
        for batch_idx, (data, target) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = criterion(model(data), target)
            loss.backward()
            optimizer.step()
            if batch_idx % 12 == 0:
                print(f"Epoch {epoch} [{batch_idx}/{len(train_loader)}] loss {loss.item():.4f}")
        test_loss, accuracy = test(model, test_loader, criterion)
        print(f"Test set: average loss {test_loss:.4f}, accuracy {100 * accuracy:.1f}%")
