"""Three interleaved spirals, an MLP, and a progress bar."""

import math

import torch
from torch import nn
from tqdm import tqdm, trange

N_CLASSES = 3
PER_CLASS = 600
EPOCHS = 40
BATCH_SIZE = 128
LEARNING_RATE = 1e-2


def make_spirals(per_class, generator):
    points, labels = [], []
    for c in range(N_CLASSES):
        r = torch.rand(per_class, generator=generator).sqrt()
        angle = 4 * r + 2 * math.pi * c / N_CLASSES
        angle = angle + 0.12 * torch.randn(per_class, generator=generator)
        points.append(torch.stack([r * angle.cos(), r * angle.sin()], dim=1))
        labels.append(torch.full((per_class,), c))
    return torch.cat(points) * 2, torch.cat(labels)


class MLP(nn.Module):
    def __init__(self, hidden=64, dropout=0.05):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, N_CLASSES),
        )

    def forward(self, x):
        return self.layers(x)


def accuracy(model, x, y):
    model.eval()
    with torch.inference_mode():
        return (model(x).argmax(dim=-1) == y).float().mean().item()


def main():
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(7)
    x_train, y_train = make_spirals(PER_CLASS, generator)
    x_val, y_val = make_spirals(200, generator)

    model = MLP()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    bar = trange(EPOCHS, desc="training")
    for _ in bar:
        model.train()
        running = 0.0
        batches = torch.randperm(len(x_train)).split(BATCH_SIZE)
        for idx in tqdm(batches, leave=False):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(x_train[idx]), y_train[idx])
            loss.backward()
            optimizer.step()
            running += loss.item()
        model.eval()
        with torch.inference_mode():
            val_loss = loss_fn(model(x_val), y_val).item()
        bar.set_postfix(loss=running / len(batches), val_loss=val_loss)
    print(f"val loss {val_loss:.4f}, val accuracy {accuracy(model, x_val, y_val):.4f}")


if __name__ == "__main__":
    main()
