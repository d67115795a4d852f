"""InfoNCE on short sounds of struck bars: two noisy, shifted cuts of one sound belong together."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


class Chimes:
    """Sounds are made as they are asked for; no two batches are alike."""

    def __init__(self, seed):
        self.rng = torch.Generator().manual_seed(seed)
        self.t = torch.linspace(0, 1, 96)

    def views(self, n):
        pitch = 3 + 12 * torch.rand(n, 2, 1, generator=self.rng)
        decay = 1 + 5 * torch.rand(n, 1, generator=self.rng)
        mix = torch.rand(n, 1, generator=self.rng)
        return self._cut(pitch, decay, mix), self._cut(pitch, decay, mix)

    def _cut(self, pitch, decay, mix):
        n = len(decay)
        phase = 0.8 * torch.rand(n, 2, 1, generator=self.rng)
        gain = 0.7 + 0.6 * torch.rand(n, 1, generator=self.rng)
        low, high = torch.sin(2 * math.pi * pitch * self.t + phase).unbind(1)
        sound = gain * (mix * low + (1 - mix) * high) * torch.exp(-decay * self.t)
        return sound + 0.05 * torch.randn(n, 96, generator=self.rng)


def info_nce(a, b, temperature):
    logits = a @ b.T / temperature
    same = torch.arange(len(a))
    return (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2


@family(
    kind="contrastive",
    loss="own",
    faults={
        "only-attraction": ("features-collapsed",),
        "pairs-shuffled": ("predicts-the-mean", "features-collapsed", "labels-differ"),
        "nothing-cleared": ("gradients-accumulate",),
        "copy-trained": ("weights-do-not-move",),
    },
    sound=("plain",),
)
def chimes_infonce(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    data = Chimes(seed)
    tower = nn.Sequential(
        nn.Linear(96, 160), nn.ReLU(), nn.Linear(160, 160), nn.ReLU(), nn.Linear(160, 32)
    )
    optimizer = torch.optim.Adam(tower.parameters(), lr=2e-3)
    if variant == "copy-trained":
        tower = copy.deepcopy(tower)

    def embed(x):
        return F.normalize(tower(x), dim=1)

    with watch(tower, optimizer) as monitor:
        for _ in range(300):
            first, second = data.views(128)
            if variant == "pairs-shuffled":
                second = second[torch.randperm(len(second))]
            a, b = embed(first), embed(second)
            if variant == "only-attraction":
                loss = 1 - (a * b).sum(1).mean()
            else:
                loss = info_nce(a, b, 0.1)
            if variant != "nothing-cleared":
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            monitor.step(loss, inputs=first, features=(a, b))
    with torch.no_grad():
        first, second = Chimes(seed + 5000).views(256)
        a, b = embed(first), embed(second)
        found = (torch.cdist(a, b).argmin(1) == torch.arange(256)).float().mean()
    return Outcome(float(found), bool(found > 0.8))
