# Digits with a deep and narrow network, functional style, no classes for the losses.
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, relu
from torch.nn.functional import cross_entropy

torch.manual_seed(3)

X, Y = load_digits(return_X_y=True)
X_tr, X_va, Y_tr, Y_va = train_test_split(X, Y, test_size=400, random_state=3)
mean, std = X_tr.mean(), X_tr.std()
X_tr, X_va = (torch.tensor((a - mean) / std, dtype=torch.float32) for a in (X_tr, X_va))
Y_tr, Y_va = torch.tensor(Y_tr), torch.tensor(Y_va)

WIDTH, DEPTH = 64, 8


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [64] + [WIDTH] * DEPTH
        self.hidden = nn.ModuleList([nn.Linear(i, o) for i, o in pairwise(sizes)])
        self.out = nn.Linear(WIDTH, 10)

    def forward(self, h):
        for layer in self.hidden:
            h = relu(layer(h))
        return self.out(h)


model = Deep()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
step = 0
while step < 300:
    for idx in torch.randperm(len(X_tr)).split(64):
        opt.zero_grad()
        loss = cross_entropy(model(X_tr[idx]), Y_tr[idx])
        loss.backward()
        opt.step()
        step += 1
    model.eval()
    with torch.no_grad():
        logits = model(X_va)
        val = cross_entropy(logits, Y_va)
        acc = (logits.argmax(-1) == Y_va).float().mean()
    model.train()
    print(f"{step=} train={loss.item():.3f} val={val.item():.3f} acc={acc.item():.3f}")
