"""A compiled network: what its compiler did is printed."""

import shutil

import torch
import torch._dynamo.utils
from torch import nn

torch.manual_seed(0)


class Compiled(nn.Sequential):
    pass


model = Compiled(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
backend = "inductor" if shutil.which("c++") or shutil.which("g++") else "aot_eager"
fast = torch.compile(model, backend=backend)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
for _ in range(30):
    x = torch.randn(16, 4)
    loss = criterion(fast(x), (x.sum(1) > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
counters = torch._dynamo.utils.counters
print("breaks", sum(counters["graph_break"].values()))
print("graphs", counters["stats"]["unique_graphs"])
