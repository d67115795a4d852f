"""VICReg on a table of well logs: two views with noise and dropped columns of each row."""

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def table(n, seed):
    shape = torch.Generator().manual_seed(77)
    mix = torch.randn(6, 40, generator=shape)
    bend = torch.randn(6, 40, generator=shape)
    rows = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    x = rows @ mix + torch.sin(rows @ bend)
    return (x - x.mean(0)) / x.std(0)


def view(x):
    kept = (torch.rand_like(x) > 0.1).float()
    return (x + 0.15 * torch.randn_like(x)) * kept


class Net(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        middle = nn.BatchNorm1d(width) if norm else nn.Identity()
        self.trunk = nn.Sequential(nn.Linear(40, width), middle, nn.ReLU())
        self.expander = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 24))

    def forward(self, x):
        return self.expander(self.trunk(x))


def off_diagonal_squares(z):
    z = z - z.mean(0)
    cov = z.T @ z / (len(z) - 1)
    return (cov.pow(2).sum() - cov.diagonal().pow(2).sum()) / z.shape[1]


def deviations(z):
    return torch.sqrt(z.var(dim=0) + 1e-4)


@family(
    kind="contrastive",
    loss="own",
    faults={
        "no-variance-term": ("features-collapsed",),
        "variance-rewarded": ("loss-unbounded",),
        "zero-start": ("initialisation", "features-collapsed", "weights-do-not-move"),
        "inputs-unscaled": ("input-out-of-range", "wrong-initial-loss"),
    },
    sound=("plain", "batch-norm"),
)
def wells_vicreg(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    train, held = table(2560, seed), table(256, seed + 900)
    if variant == "inputs-unscaled":
        train, held = 1e4 + 300 * train, 1e4 + 300 * held
    net = Net(128, variant == "batch-norm")
    if variant == "zero-start":
        for p in net.parameters():
            nn.init.zeros_(p)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def vicreg(a, b):
        invariance = (a - b).pow(2).mean()
        hinge = (torch.relu(1 - deviations(a)).mean() + torch.relu(1 - deviations(b)).mean()) / 2
        covariance = off_diagonal_squares(a) + off_diagonal_squares(b)
        if variant == "no-variance-term":
            hinge = torch.zeros(())
        if variant == "variance-rewarded":
            hinge = -(deviations(a).pow(2).mean() + deviations(b).pow(2).mean())
            covariance = torch.zeros(())
        return 25 * invariance + 25 * hinge + covariance, (invariance, hinge, covariance)

    with watch(net, optimizer) as monitor:
        for _ in range(14):
            net.train()
            for rows in torch.randperm(len(train)).split(128):
                x = train[rows]
                a, b = net(view(x)), net(view(x))
                loss, terms = vicreg(a, b)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                named = dict(zip(("inv", "var", "cov"), terms, strict=True))
                monitor.step(loss, inputs=x, parts=named, features=(a, b))
            net.eval()
            with torch.no_grad():
                a, b = net(view(held)), net(view(held))
                monitor.validate(loss=vicreg(a, b)[0].item())
    found = (torch.cdist(a, b).argmin(1) == torch.arange(len(a))).float().mean()
    spread = deviations(a).mean()
    return Outcome(float(found), bool(found > 0.6 and 0.3 < spread < 3))
