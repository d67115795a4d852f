"""Two trainings over loaders: in one the data are slow, in the other the update is."""

import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Points(Dataset):
    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return 64

    def __getitem__(self, index):
        time.sleep(self.seconds)
        x = torch.full((3,), index / 64)
        return x, x[:1]


class SlowData(nn.Linear):
    pass


class SlowUpdate(nn.Linear):
    def forward(self, x):
        time.sleep(0.02)
        return super().forward(x)


def train(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


train(SlowData(3, 1), DataLoader(Points(0.005), batch_size=4))
train(SlowUpdate(3, 1), DataLoader(Points(0.0), batch_size=4))
