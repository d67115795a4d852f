"""Metric learning of shells around a centre, as somebody from face verification would write it.

Points of four classes lie in shells of growing radius in six of twelve dimensions; the centres of
the classes are the same, so that no linear map tells them apart.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.programs.frame import Outcome, Watch, family

CLASSES = 4


def make(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.randint(0, CLASSES, (n,), generator=generator)
    direction = torch.randn(n, 6, generator=generator)
    direction /= direction.norm(dim=1, keepdim=True)
    radius = 0.8 + 1.2 * y[:, None] + 0.15 * torch.randn(n, 1, generator=generator)
    rest = torch.randn(n, 6, generator=generator)
    return torch.cat([direction * radius, rest], dim=1), y


class Triplets(Dataset):
    """Anchor, one of its class, one of another class."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> None:
        self.x = x
        self.positive = torch.empty_like(y)
        self.negative = torch.empty_like(y)
        for c in range(CLASSES):
            mine, others = (y == c).nonzero()[:, 0], (y != c).nonzero()[:, 0]
            n = len(mine)
            self.positive[mine] = mine[torch.randint(0, n, (n,), generator=generator)]
            self.negative[mine] = others[torch.randint(0, len(others), (n,), generator=generator)]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.x[i], self.x[self.positive[i]], self.x[self.negative[i]]


class Embedder(nn.Module):
    def __init__(self, hidden: int = 64, dim: int = 8, drop: float = 0.0) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(12, hidden),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(drop),
        )
        self.embed = nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.embed(self.backbone(x))


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((a - b).pow(2).sum(1) + 1e-8).sqrt()


@torch.no_grad()
def nearest_centre(net: nn.Module, train: tuple, test: tuple) -> float:
    """Accuracy of the nearest class mean in the embedding."""
    net.eval()
    a, b = net(train[0]), net(test[0])
    net.train()
    if not (a.isfinite().all() and b.isfinite().all()):
        return 0.0
    centres = torch.stack([a[train[1] == c].mean(0) for c in range(CLASSES)])
    return (torch.cdist(b, centres).argmin(1) == test[1]).float().mean().item()


@family(
    kind="contrastive",
    loss="own",
    faults={
        "no-negatives": ("features-collapsed",),
        "shuffled-identities": ("predicts-the-mean", "features-collapsed"),
        "dropout-0.95": ("dropout-too-high",),
        "optimizer-has-a-copy": ("weights-do-not-move",),
        "summed-rate-1": ("rate-too-high", "exploding-gradient", "loss-spike", "dead-units"),
    },
    sound=("triplet", "pairs-sgd"),
)
def siamese_rings(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(100 + seed)
    x, y = make(1600, generator)
    test = make(500, generator)
    identities = y[torch.randperm(len(y))] if variant == "shuffled-identities" else y
    loader = DataLoader(Triplets(x, identities, generator), batch_size=64, shuffle=True)

    net = Embedder(drop=0.95 if variant == "dropout-0.95" else 0.1)
    if variant == "optimizer-has-a-copy":
        optimizer = torch.optim.Adam(Embedder().parameters(), lr=2e-3)
    elif variant == "pairs-sgd":
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    elif variant == "summed-rate-1":
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    else:
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    margin = 1.0
    with watch(net, optimizer) as monitor:
        for _epoch in range(16):
            for anchor, positive, negative in loader:
                optimizer.zero_grad()
                ea, ep, en = net(anchor), net(positive), net(negative)
                near, far = distance(ea, ep), distance(ea, en)
                if variant == "no-negatives":
                    loss = near.pow(2).mean()
                elif variant == "pairs-sgd":
                    loss = near.pow(2).mean() + (2 * margin - far).clamp(min=0).pow(2).mean()
                elif variant == "summed-rate-1":
                    loss = (near - far + margin).clamp(min=0).sum()
                else:
                    loss = (near - far + margin).clamp(min=0).mean()
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=anchor)
    score = nearest_centre(net, (x, y), test)
    return Outcome(score, score > 0.75)
