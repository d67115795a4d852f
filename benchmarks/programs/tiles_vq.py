"""A VQ-VAE of small grey tiles with gratings and corners, four codes a tile."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def make_tiles(n, rng):
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    direction = torch.randint(0, 4, (n, 1, 1), generator=rng) * 0.785
    period = torch.randint(0, 2, (n, 1, 1), generator=rng) * 0.6 + 0.7
    shift = torch.randint(0, 3, (n, 1, 1), generator=rng) * 2.1
    tiles = torch.sin(period * (x * direction.cos() + y * direction.sin()) + shift)
    flat = torch.rand(n, 1, 1, generator=rng) < 0.2
    tiles = torch.where(flat, torch.sign(tiles), tiles)
    return (0.5 + 0.35 * tiles + 0.04 * torch.randn(n, 8, 8, generator=rng)).clamp(0, 1)


class TileVQ(nn.Module):
    def __init__(self, n_codes, dim, spread):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 32, 4, 2, 1), nn.ReLU()
        )
        self.to_code = nn.Conv2d(32, dim, 1)
        self.codebook = nn.Parameter(spread * torch.randn(n_codes, dim))
        self.dec = nn.Sequential(
            nn.Flatten(), nn.Linear(4 * dim, 128), nn.ReLU(), nn.Linear(128, 64)
        )

    @torch.no_grad()
    def start_codes_from(self, x):
        z = self.to_code(self.enc(x)).permute(0, 2, 3, 1).flatten(0, 2)
        self.codebook.copy_(z[torch.randperm(len(z))[: len(self.codebook)]])

    def forward(self, x, straight=True):
        z = self.to_code(self.enc(x)).permute(0, 2, 3, 1)
        distance = ((z.unsqueeze(3) - self.codebook) ** 2).sum(-1)
        ids = distance.argmin(-1)
        q = self.codebook[ids]
        passed = z + (q - z).detach() if straight else q.detach()
        return self.dec(passed).view_as(x), z, q, ids


@family(
    kind="vq",
    loss="own",
    faults={
        "codes-far-away": ("codebook-collapsed", "initialisation"),
        "codes-detached": ("weights-do-not-move", "codebook-collapsed"),
        "grey-levels": ("input-out-of-range", "targets-out-of-range"),
    },
    sound=("plain", "many-codes"),
)
def tiles_vq(watch: Watch, seed: int, variant: str) -> Outcome:
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    tiles = make_tiles(1700, rng).unsqueeze(1)
    if variant == "grey-levels":
        tiles = (255 * tiles).round()
    train, test = tiles[:1400], tiles[1400:]
    n_codes = 64 if variant == "many-codes" else 24
    net = TileVQ(n_codes, 8, 15.0 if variant == "codes-far-away" else 0.1)
    if variant != "codes-far-away":
        net.start_codes_from(train[:200])
    optim = torch.optim.Adam(net.parameters(), lr=3e-3)
    commitment = 0.25
    with watch(net, optim) as monitor:
        for _ in range(24):
            for rows in torch.randperm(len(train)).split(64):
                batch = train[rows]
                out, z, q, ids = net(batch, variant != "codes-detached")
                recon = F.mse_loss(out, batch) * 10
                book = F.mse_loss(q, z.detach())
                commit = F.mse_loss(z, q.detach())
                loss = recon + book + commitment * commit
                optim.zero_grad(set_to_none=True)
                loss.backward()
                optim.step()
                monitor.step(
                    loss,
                    inputs=batch,
                    outputs=out,
                    targets=batch,
                    parts={"recon": recon, "codebook": book, "commitment": commit},
                    codes=ids,
                )
            with torch.no_grad():
                out, z, q, ids = net(test)
                total = 10 * F.mse_loss(out, test) + (1 + commitment) * F.mse_loss(q, z)
            monitor.validate(loss=float(total), used_codes=len(ids.unique()))
    error = (out - test).pow(2).mean() / (test - train.mean(0)).pow(2).mean()
    return Outcome(float(error), bool(error < 0.45 and len(ids.unique()) >= 8))
