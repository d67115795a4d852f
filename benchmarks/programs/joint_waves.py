"""Self-supervised features of short waves without negatives: VICReg, Barlow Twins or SimSiam.

As an engineer with sensor data would try them one after the other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.programs.frame import Outcome, Watch, family

LENGTH = 64


def waves(n: int) -> Tensor:
    """Two tones of random frequency and phase each."""
    t = torch.linspace(0, 1, LENGTH)
    total = torch.zeros(n, LENGTH)
    for _ in range(2):
        frequency = torch.empty(n, 1).uniform_(1, 10)
        phase = torch.empty(n, 1).uniform_(0, 6.283)
        strength = torch.empty(n, 1).uniform_(0.4, 1.0)
        total += strength * torch.sin(6.283 * frequency * t + phase)
    return total[:, None]


def view(x: Tensor) -> Tensor:
    x = x * torch.empty(len(x), 1, 1).uniform_(0.7, 1.3)
    starts = torch.randint(0, LENGTH - 60 + 1, (len(x),))
    x = torch.stack([row[:, s : s + 60] for row, s in zip(x, starts.tolist(), strict=True)])
    return x + 0.15 * torch.randn_like(x)


def net(dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(1, 16, 7, stride=2, padding=3),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Conv1d(16, 32, 5, stride=2, padding=2),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 15, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, dim),
    )


class SimSiam(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.encoder = net(dim)
        self.encoder.append(nn.BatchNorm1d(dim, affine=False))
        self.predictor = nn.Sequential(
            nn.Linear(dim, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


def off_diagonal(m: Tensor) -> Tensor:
    return m - torch.diag(torch.diag(m))


def vicreg(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    invariance = F.mse_loss(z1, z2)
    variance = sum(F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() for z in (z1, z2))
    covariance = sum(off_diagonal(torch.cov(z.t())).pow(2).sum() / z.shape[1] for z in (z1, z2))
    return invariance, variance, covariance


def barlow(z1: Tensor, z2: Tensor) -> Tensor:
    a = (z1 - z1.mean(0)) / (z1.std(0) + 1e-6)
    b = (z2 - z2.mean(0)) / (z2.std(0) + 1e-6)
    c = a.t() @ b / len(a)
    return (1 - torch.diag(c)).pow(2).sum() + 0.01 * off_diagonal(c).pow(2).sum()


@torch.no_grad()
def judge(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """How often the nearest second view is of the same wave, and how far features are spread."""
    model.eval()
    a, b = F.normalize(model(view(x)), dim=1), F.normalize(model(view(x)), dim=1)
    model.train()
    hits = sum(
        ((p @ q.t()).argmax(1) == torch.arange(50)).float().mean().item()
        for p, q in zip(a.split(50), b.split(50), strict=True)
    ) / (len(x) // 50)
    spread = (a.var(0).sum().sqrt()).item()  # 1 where directions are uniform
    return hits, spread


@family(
    kind="contrastive",
    loss="own",
    faults={
        "no-variance": ("features-collapsed",),
        "no-predictor-no-stop": ("features-collapsed",),
        "no-zero-grad": ("gradients-accumulate", "rate-too-high", "momentum-too-high"),
    },
    sound=("vicreg", "barlow", "simsiam"),
)
def joint_waves(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    train, test = waves(1200), waves(200)
    dim = 32
    if variant == "simsiam":
        model: nn.Module = SimSiam(dim)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    elif variant == "no-zero-grad":
        model = net(dim)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    else:
        model = net(dim)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with watch(model, optimizer) as monitor:
        for _step in range(260):
            batch = train[torch.randint(0, len(train), (64,))]
            first, second = view(batch), view(batch)
            z1, z2 = model(first), model(second)
            parts = {}
            if variant == "barlow":
                loss = barlow(z1, z2)
            elif variant == "simsiam":
                p1, p2 = model.predictor(z1), model.predictor(z2)
                loss = -0.5 * (
                    F.cosine_similarity(p1, z2.detach()).mean()
                    + F.cosine_similarity(p2, z1.detach()).mean()
                )
            elif variant == "no-predictor-no-stop":
                loss = -F.cosine_similarity(z1, z2).mean()
            else:
                invariance, variance, covariance = vicreg(z1, z2)
                parts = {"inv": invariance, "var": variance, "cov": covariance}
                if variant == "no-variance":
                    parts = {}
                    loss = 25 * invariance
                else:
                    loss = 25 * invariance + 25 * variance + covariance
            if variant != "no-zero-grad":
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if parts:
                monitor.step(loss, inputs=first, features=(z1, z2), parts=parts)
            else:
                monitor.step(loss, inputs=first, features=(z1, z2))
    hits, spread = judge(model, test)
    return Outcome(hits * min(1.0, spread), hits > 0.4 and spread > 0.4)
