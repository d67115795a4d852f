"""A classifier that learns at 0.01 and not at 10: `python rate.py RATE [STEPS]`."""

import sys

import torch
from torch import nn

torch.manual_seed(0)
rate = float(sys.argv[1])
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 300
x = torch.randn(256, 8)
y = (x[:, 0] * x[:, 1] > 0).long() + 2 * (x[:, 2] > 0).long()
net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
adam = torch.optim.Adam(net.parameters(), lr=rate)
criterion = nn.CrossEntropyLoss()
for step in range(steps):
    chosen = torch.randint(len(x), (32,))
    loss = criterion(net(x[chosen]), y[chosen])
    adam.zero_grad()
    loss.backward()
    adam.step()
    if step == 100_000:
        print("far in")
print("the end")
with open("weights.txt", "w") as file:
    file.write(str(sum(float(p.detach().sum()) for p in net.parameters())))
