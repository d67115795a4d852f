"""Regression on Friedman's first function with gradient accumulation."""

import numpy as np
import torch
from sklearn.datasets import make_friedman1
from torch.utils.data import DataLoader, Dataset

ACCUMULATION_STEPS = 4


class RegressionDataset(Dataset):
    def __init__(self, features, values):
        self.features = features.astype(np.float32)
        self.values = values.astype(np.float32)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.features[index], self.values[index]


class Regressor(torch.nn.Module):
    def __init__(self, n_features, hidden=64):
        super().__init__()
        self.fc1 = torch.nn.Linear(n_features, hidden)
        self.fc2 = torch.nn.Linear(hidden, hidden)
        self.fc3 = torch.nn.Linear(hidden, 1)
        self.act = torch.nn.SiLU()

    def forward(self, x):
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        return self.fc3(x).squeeze(1)


def evaluate(model, loader, mse):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for features, values in loader:
            total += mse(model(features), values).item() * len(values)
    return total / len(loader.dataset)


def main():
    torch.manual_seed(0)
    x, y = make_friedman1(n_samples=2500, n_features=8, noise=0.5, random_state=0)
    y = (y - y[:2000].mean()) / y[:2000].std()
    x = 2 * x - 1
    train_loader = DataLoader(RegressionDataset(x[:2000], y[:2000]), batch_size=16, shuffle=True)
    test_loader = DataLoader(RegressionDataset(x[2000:], y[2000:]), batch_size=100)

    model = Regressor(n_features=8)
    mse = torch.nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)

    for epoch in range(1, 13):
        model.train()
        optimizer.zero_grad()
        for i, (features, values) in enumerate(train_loader, start=1):
            loss = mse(model(features), values) / ACCUMULATION_STEPS
            loss.backward()
            if i % ACCUMULATION_STEPS == 0 or i == len(train_loader):
                optimizer.step()
                optimizer.zero_grad()
        test_mse = evaluate(model, test_loader, mse)
        plateau.step(test_mse)
        print(f"epoch {epoch}: test MSE {test_mse:.4f} (R^2 {1 - test_mse / y[2000:].var():.3f})")


if __name__ == "__main__":
    main()
