"""Self-supervised features of digits: two augmented views of each image, InfoNCE."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

torch.manual_seed(0)


def augment(x):
    """Shift by up to one pixel, change the contrast, add noise. x: (B, 1, 8, 8)."""
    padded = F.pad(x, (1, 1, 1, 1))
    corners = torch.randint(0, 3, (len(x), 2)).tolist()
    x = torch.stack([p[:, i : i + 8, j : j + 8] for p, (i, j) in zip(padded, corners, strict=True)])
    gain = 0.7 + 0.6 * torch.rand(len(x), 1, 1, 1)
    return x * gain + 0.1 * torch.randn_like(x)


class Encoder(nn.Module):
    def __init__(self, dim=64, proj=32):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, dim),
        )
        self.projector = nn.Sequential(nn.ReLU(), nn.Linear(dim, proj))

    def forward(self, x):
        return F.normalize(self.projector(self.backbone(x)), dim=1)


def info_nce(z1, z2, temperature=0.2):
    logits = z1 @ z2.t() / temperature
    labels = torch.arange(len(z1))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


def knn_accuracy(model, x_train, y_train, x_test, y_test):
    model.eval()
    with torch.no_grad():
        train_features = F.normalize(model.backbone(x_train), dim=1).numpy()
        test_features = F.normalize(model.backbone(x_test), dim=1).numpy()
    return KNeighborsClassifier(5).fit(train_features, y_train).score(test_features, y_test)


def main():
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    x_train, x_val = x[:1400], x[1400:]
    model = Encoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    for epoch in range(16):
        model.train()
        for idx in torch.randperm(len(x_train)).split(128):
            batch = x_train[idx]
            z1, z2 = model(augment(batch)), model(augment(batch))
            loss = info_nce(z1, z2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            batch = x_val[:128]
            z1, z2 = model(augment(batch)), model(augment(batch))
            val = info_nce(z1, z2).item()
            spread = z1.std(0).mean().item()
        print(f"epoch {epoch:2d}  train {loss.item():.3f}  val {val:.3f}  spread {spread:.3f}")
    y = data.target
    print(f"kNN accuracy {knn_accuracy(model, x_train, y[:1400], x_val, y[1400:]):.3f}")


if __name__ == "__main__":
    main()
