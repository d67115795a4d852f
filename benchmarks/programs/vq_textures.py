"""A VQ-VAE with straight-through gradients on 16 by 16 textures (stripes, checks, blobs)."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.programs.frame import Outcome, Watch, family


def textures(n: int, rng: torch.Generator) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    angle = torch.rand(n, 1, 1, generator=rng) * math.pi
    pace = 0.5 + torch.rand(n, 1, 1, generator=rng)
    shift = torch.rand(n, 1, 1, generator=rng) * 2 * math.pi
    along = (xs * angle.cos() + ys * angle.sin()) * pace + shift
    across = (ys * angle.cos() - xs * angle.sin()) * pace
    stripes = along.sin()
    checks = (along.sin() * across.sin()).sign() * 0.8
    cx, cy = 16 * torch.rand(2, n, 1, 1, generator=rng)
    blobs = 2 * torch.exp(-((xs - cx) ** 2 + (ys - cy) ** 2) / 18) - 1
    kind = torch.randint(3, (n, 1, 1), generator=rng)
    pictures = torch.where(kind == 0, stripes, torch.where(kind == 1, checks, blobs))
    return pictures.unsqueeze(1)


class VectorQuantizer(nn.Module):
    def __init__(self, size: int, dim: int, commitment: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, dim)
        self.embedding.weight.data.uniform_(-1 / size, 1 / size)
        self.commitment = commitment
        self.wrong_detach = False

    def forward(self, z):
        z = z.permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, z.shape[-1])
        ids = torch.cdist(flat, self.embedding.weight).argmin(1).view(z.shape[:-1])
        q = self.embedding(ids)
        codebook = F.mse_loss(q.detach() if self.wrong_detach else q, z.detach())
        commit = F.mse_loss(z, q.detach())
        q = z + (q - z).detach()
        return q.permute(0, 3, 1, 2), codebook + self.commitment * commit, ids


class VQVAE(nn.Module):
    def __init__(self, size=64, dim=8, width=12, batch_norm=False):
        super().__init__()
        encoder = [
            nn.Conv2d(1, width, 4, 2, 1),
            nn.BatchNorm2d(width) if batch_norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2 * width, dim, 1),
        ]
        self.encoder = nn.Sequential(*encoder)
        self.quantizer = VectorQuantizer(size, dim, 0.25)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1),
        )

    def forward(self, x):
        q, vq_loss, ids = self.quantizer(self.encoder(x))
        return self.decoder(q), vq_loss, ids


@family(
    kind="vq",
    loss="own",
    faults={
        "huge-codebook": ("codebook-collapsed", "initialisation"),
        "codebook-left-out": ("weights-do-not-move", "codebook-collapsed"),
        "codebook-detached": ("weights-do-not-move", "codebook-collapsed"),
        "rate-high": ("rate-too-high",),
    },
    sound=("plain", "small-codebook", "batch-norm"),
)
def vq_textures(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    train, test = textures(1600, rng), textures(300, rng)
    loader = DataLoader(train, batch_size=50, shuffle=True, drop_last=True)

    model = VQVAE(
        size=24 if variant == "small-codebook" else 64, batch_norm=variant == "batch-norm"
    )
    quantizer = model.quantizer
    if variant == "huge-codebook":
        quantizer.embedding.weight.data.normal_(0, 30)
    quantizer.wrong_detach = variant == "codebook-detached"
    trained = [
        p
        for name, p in model.named_parameters()
        if not (variant == "codebook-left-out" and "embedding" in name)
    ]
    optimizer = torch.optim.Adam(trained, lr=0.3 if variant == "rate-high" else 3e-3)

    def score():
        model.eval()
        with torch.no_grad():
            x_hat, _, ids = model(test)
            return F.mse_loss(x_hat, test).item(), ids.unique().numel()

    with watch(model, optimizer) as monitor:
        for _ in range(8):
            model.train()
            for x in loader:
                x_hat, vq_loss, ids = model(x)
                recon = F.mse_loss(x_hat, x)
                loss = recon + vq_loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                monitor.step(
                    loss,
                    inputs=x,
                    outputs=x_hat,
                    targets=x,
                    parts={"recon": recon, "vq": vq_loss},
                    codes=ids,
                )
            error, used = score()
            monitor.validate(loss=error, used_codes=used)

    error, used = score()
    relative = error / (test - train.mean(0)).square().mean().item()
    return Outcome(relative, relative < 0.5 and used >= 8)
