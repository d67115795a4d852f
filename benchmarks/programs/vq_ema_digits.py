"""A dense VQ-VAE: each digit becomes four codes, the codebook follows as a moving average."""

import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family

GROUPS, WIDTH = 4, 8


class EMACodebook(nn.Module):
    def __init__(self, codes, decay=0.99):
        super().__init__()
        self.decay = decay
        self.updates = True
        start = torch.randn(codes, WIDTH)
        self.register_buffer("vectors", start)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", start.clone())

    def forward(self, z):
        distance = (
            z.pow(2).sum(-1, keepdim=True) - 2 * z @ self.vectors.T + self.vectors.pow(2).sum(-1)
        )
        index = distance.argmin(-1)
        if self.training and self.updates:
            self.follow(z.detach().reshape(-1, WIDTH), index.reshape(-1))
        return self.vectors[index], index

    @torch.no_grad()
    def follow(self, z, index):
        onehot = nn.functional.one_hot(index, len(self.vectors)).to(z.dtype)
        self.counts.mul_(self.decay).add_(onehot.sum(0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(onehot.T @ z, alpha=1 - self.decay)
        total = self.counts.sum()
        smooth = (self.counts + 1e-5) / (total + len(self.counts) * 1e-5) * total
        self.vectors.copy_(self.sums / smooth.unsqueeze(1))


class Model(nn.Module):
    def __init__(self, codes, hidden, shrink=1.0):
        super().__init__()
        self.shrink = shrink
        self.encoder = nn.Sequential(
            nn.Linear(64, hidden), nn.GELU(), nn.Linear(hidden, GROUPS * WIDTH)
        )
        self.codebook = EMACodebook(codes)
        self.decoder = nn.Sequential(
            nn.Linear(GROUPS * WIDTH, hidden), nn.GELU(), nn.Linear(hidden, 64)
        )

    def encode(self, x):
        return self.encoder(x).unflatten(1, (GROUPS, WIDTH)) * self.shrink


@family(
    kind="vq",
    loss="own",
    faults={
        "tiny-latents": ("codebook-collapsed", "initialisation"),
        "no-straight-through": ("weights-do-not-move", "codebook-collapsed"),
        "cleared-late": ("gradients-cleared-before-step",),
        "rate-high": ("rate-too-high",),
    },
    sound=("plain", "few-codes"),
)
def vq_ema_digits(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    x_all = torch.from_numpy(load_digits().data).float() / 8 - 1
    x_all = x_all[torch.randperm(len(x_all))]
    x_train, x_val = x_all[:1400], x_all[1400:]

    model = Model(
        codes=16 if variant == "few-codes" else 48,
        hidden=128,
        shrink=1e-3 if variant == "tiny-latents" else 1.0,
    )
    lr = 0.5 if variant == "rate-high" else 1e-3
    opt = torch.optim.AdamW(model.parameters(), lr=lr)

    with watch(model, opt) as monitor:
        for _ in range(25):
            model.train()
            for chosen in torch.randperm(len(x_train)).split(50):
                x = x_train[chosen]
                z = model.encode(x)
                q, index = model.codebook(z)
                commitment = (z - q).pow(2).mean()
                if variant != "no-straight-through":
                    q = z + (q - z).detach()
                y = model.decoder(q.flatten(1))
                loss = (y - x).pow(2).mean() + 0.25 * commitment
                opt.zero_grad()
                loss.backward()
                if variant == "cleared-late":
                    opt.zero_grad()
                opt.step()
                monitor.step(loss, inputs=x, outputs=y, targets=x, codes=index)

    model.eval()
    with torch.no_grad():
        q, index = model.codebook(model.encode(x_val))
        y = model.decoder(q.flatten(1))
    ratio = ((y - x_val).pow(2).mean() / (x_val - x_train.mean(0)).pow(2).mean()).item()
    return Outcome(ratio, ratio < 0.6)
