"""Handwritten digits with a small convolutional network and a Trainer class."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class DigitNet(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, n_classes)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


class Trainer:
    def __init__(self, model, train_data, val_data, epochs=12, batch_size=64, lr=0.05):
        self.model = model
        self.train_x, self.train_y = train_data
        self.val_x, self.val_y = val_data
        self.epochs = epochs
        self.batch_size = batch_size
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for batch in torch.randperm(len(self.train_x)).split(self.batch_size):
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(self.train_x[batch]), self.train_y[batch])
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / len(self.train_x)

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        outputs = self.model(self.val_x)
        loss = self.criterion(outputs, self.val_y).item()
        accuracy = (outputs.argmax(1) == self.val_y).float().mean().item()
        return loss, accuracy

    def train(self):
        for epoch in range(1, self.epochs + 1):
            train_loss = self.train_epoch()
            val_loss, val_acc = self.evaluate()
            self.scheduler.step()
            print(
                f"[{epoch:2d}/{self.epochs}] train {train_loss:.4f} | "
                f"val {val_loss:.4f} | acc {100 * val_acc:.1f}%"
            )


def main():
    torch.manual_seed(0)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    Trainer(DigitNet(), (x[:1400], y[:1400]), (x[1400:], y[1400:])).train()


if __name__ == "__main__":
    main()
