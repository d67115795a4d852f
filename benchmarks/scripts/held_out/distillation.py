"""Knowledge distillation: a wide teacher of gratings, and a small student of its soft labels."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

N_CLASSES, SIZE = 8, 16
TEMPERATURE, ALPHA = 2.0, 0.7


def gratings(n, noise=1.5):
    """Images (n, 1, SIZE, SIZE) of stripes in one of eight directions, and the direction."""
    label = torch.randint(N_CLASSES, (n,))
    angle = (math.pi * label / N_CLASSES).view(-1, 1, 1)
    axis = torch.arange(SIZE).float()
    across = axis.view(1, 1, -1) * angle.cos() + axis.view(1, -1, 1) * angle.sin()
    phase = 2 * math.pi * torch.rand(n, 1, 1)
    images = torch.sin(2 * math.pi * across / 5 + phase) + noise * torch.randn(n, SIZE, SIZE)
    return images.unsqueeze(1), label


def make_net(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 5, stride=2, padding=2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, N_CLASSES),
    )


def hard_loss(net, x, y):
    return F.cross_entropy(net(x), y)


def distillation_loss(teacher):
    def loss(student, x, y):
        with torch.no_grad():
            soft = F.softmax(teacher(x) / TEMPERATURE, dim=1)
        logits = student(x)
        log_p = F.log_softmax(logits / TEMPERATURE, dim=1)
        kd = F.kl_div(log_p, soft, reduction="batchmean") * TEMPERATURE**2
        return ALPHA * kd + (1 - ALPHA) * F.cross_entropy(logits, y)

    return loss


def train(name, net, loss_fn, loaders, epochs, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, nesterov=True)
    for epoch in range(epochs):
        net.train()
        for x, y in loaders["train"]:
            optimizer.zero_grad()
            loss = loss_fn(net, x, y)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            x, y = next(iter(loaders["val"]))
            val_loss = F.cross_entropy(net(x), y).item()
            accuracy = (net(x).argmax(1) == y).float().mean().item()
        print(f"{name} {epoch}: loss {loss.item():.3f} val {val_loss:.3f} acc {accuracy:.3f}")
    return net


def main():
    torch.manual_seed(0)
    loaders = {
        "train": DataLoader(TensorDataset(*gratings(2000)), batch_size=64, shuffle=True),
        "val": DataLoader(TensorDataset(*gratings(500)), batch_size=500),
    }
    teacher = train("teacher", make_net(16), hard_loss, loaders, epochs=6, lr=0.05)
    teacher.requires_grad_(False).eval()
    train("student", make_net(6), distillation_loss(teacher), loaders, epochs=8, lr=0.05)


if __name__ == "__main__":
    main()
