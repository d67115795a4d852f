"""Sine, square, sawtooth or triangle? A GRU reads noisy waves of unknown phase and pitch."""

import math

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

LENGTH = 32


def waves(n):
    t = torch.arange(LENGTH).float()
    period = 8 + 8 * torch.rand(n, 1)
    phase = torch.rand(n, 1)
    turn = (t / period + phase) % 1
    shapes = torch.stack(
        [
            torch.sin(2 * math.pi * turn),
            torch.where(turn < 0.5, 1.0, -1.0),
            2 * turn - 1,
            4 * (turn - 0.5).abs() - 1,
        ]
    )
    label = torch.randint(0, 4, (n,))
    x = shapes[label, torch.arange(n)] + 0.1 * torch.randn(n, LENGTH)
    return x.unsqueeze(-1), label


class WaveClassifier(nn.Module):
    def __init__(self, hidden_size=32, num_layers=1):
        super().__init__()
        self.rnn = nn.GRU(1, hidden_size, num_layers, batch_first=True)
        self.head = nn.Linear(hidden_size, 4)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out[:, -1])


def run_validation(model, loader, criterion):
    model.eval()
    loss, hits, n = 0.0, 0, 0
    with torch.no_grad():
        for x, y in loader:
            logits = model(x)
            loss += criterion(logits, y).item() * y.size(0)
            hits += (logits.argmax(1) == y).sum().item()
            n += y.size(0)
    return loss / n, hits / n


def main(epochs=12):
    torch.manual_seed(5)
    train_dl = DataLoader(TensorDataset(*waves(1920)), batch_size=64, shuffle=True)
    val_dl = DataLoader(TensorDataset(*waves(500)), batch_size=250)
    model = WaveClassifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.85)

    for epoch in range(epochs):
        model.train()
        train_loss = 0.0
        for x, y in train_dl:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            train_loss += loss.item() / len(train_dl)
        scheduler.step()
        val_loss, acc = run_validation(model, val_dl, criterion)
        print(
            f"epoch {epoch + 1:02d}  lr {scheduler.get_last_lr()[0]:.1e}  "
            f"train {train_loss:.3f}  val {val_loss:.3f}  acc {acc:.3f}"
        )


if __name__ == "__main__":
    main()
