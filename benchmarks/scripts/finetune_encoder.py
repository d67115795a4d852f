"""Pretrain an encoder on digits 0-4, train a head on digits 5-9, then fine-tune the whole."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images * 255 / 16, dtype=torch.float32).unsqueeze(1)  # 8 bit
labels = torch.tensor(digits.target)


def normalise(x):
    return (x / 255 - 0.305) / 0.376


def subset(classes, n_train):
    keep = torch.isin(labels, torch.tensor(classes)).nonzero().squeeze(1)
    keep = keep[torch.randperm(len(keep))]
    x, y = images[keep], labels[keep] - min(classes)
    train = normalise(x[:n_train]), y[:n_train]
    valid = normalise(x[n_train:]), y[n_train:]
    return train, valid


def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )


class Classifier(nn.Module):
    def __init__(self, encoder, n_classes=5):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(128, n_classes)

    def forward(self, x):
        return self.head(self.encoder(x))


def fit(model, train, valid, optimizer, epochs, frozen=False):
    loss_fn = nn.CrossEntropyLoss()
    (x, y), (x_val, y_val) = train, valid
    for epoch in range(epochs):
        model.train()
        if frozen:
            model.encoder.eval()
        for i in torch.randperm(len(x)).split(16):
            loss = loss_fn(model(x[i]), y[i])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(x_val)
            val_loss = loss_fn(out, y_val).item()
            val_acc = (out.argmax(1) == y_val).float().mean().item()
        print(f"  epoch {epoch + 1}: train {loss.item():.3f} val {val_loss:.3f} acc {val_acc:.3f}")


encoder = make_encoder()

print("pretraining on 0-4")
pretrained = Classifier(encoder)
fit(pretrained, *subset([0, 1, 2, 3, 4], 700), torch.optim.Adam(pretrained.parameters(), 1e-3), 6)

print("head only on 5-9")
model = Classifier(encoder)
train, valid = subset([5, 6, 7, 8, 9], 400)
for p in encoder.parameters():
    p.requires_grad = False
fit(model, train, valid, torch.optim.Adam(model.head.parameters(), 3e-3), 10, frozen=True)

print("everything")
for p in encoder.parameters():
    p.requires_grad = True
groups = [
    {"params": model.encoder.parameters(), "lr": 3e-4},
    {"params": model.head.parameters(), "lr": 1e-3},
]
fit(model, train, valid, torch.optim.Adam(groups), 6)
