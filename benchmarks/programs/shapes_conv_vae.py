"""A convolutional VAE on drawn discs, boxes and crosses between -1 and 1, squared error."""

import math

import torch
from torch import nn

from benchmarks.programs.frame import Outcome, Watch, family


def draw_shapes(count: int, generator: torch.Generator) -> torch.Tensor:
    """16 by 16 pictures of one bright shape on a dark ground."""
    ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    cx = torch.rand(count, 1, 1, generator=generator) * 7 + 4.5
    cy = torch.rand(count, 1, 1, generator=generator) * 7 + 4.5
    size = torch.rand(count, 1, 1, generator=generator) * 2 + 2.5
    dx, dy = (xs - cx).abs(), (ys - cy).abs()
    disc = ((dx**2 + dy**2).sqrt() < size).float()
    box = ((dx < size) & (dy < size)).float()
    cross = (((dx < 1.2) & (dy < size + 1)) | ((dy < 1.2) & (dx < size + 1))).float()
    which = torch.randint(0, 3, (count, 1, 1), generator=generator)
    pictures = torch.where(which == 0, disc, torch.where(which == 1, box, cross))
    return (pictures * 2 - 1).unsqueeze(1)


class Encoder(nn.Module):
    def __init__(self, width, zdim, norm):
        super().__init__()
        layers = []
        for before, after in ((1, width), (width, 2 * width)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(0.1))
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.heads = nn.Linear(2 * width * 16, 2 * zdim)

    def forward(self, x):
        return self.heads(self.body(x)).chunk(2, dim=1)


class Decoder(nn.Sequential):
    def __init__(self, width, zdim, last):
        super().__init__(
            nn.Linear(zdim, 2 * width * 16),
            nn.LeakyReLU(0.1),
            nn.Unflatten(1, (2 * width, 4, 4)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
            last,
        )


class ConvVAE(nn.Module):
    def __init__(self, width=12, zdim=8, norm=False, last=None, detach=False):
        super().__init__()
        self.encoder = Encoder(width, zdim, norm)
        self.decoder = Decoder(width, zdim, last or nn.Tanh())
        self.detach = detach

    def forward(self, x):
        mu, logvar = self.encoder(x)
        z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        if self.detach:
            z = z.detach()
        return self.decoder(z), mu, logvar


@family(
    kind="vae",
    loss="own",
    faults={
        "mean-beside-sum": ("posterior-collapse",),
        "sigmoid-output": ("output-activation",),
        "latent-detached": ("weights-do-not-move", "posterior-collapse"),
        "decoder-only": ("weights-do-not-move",),
    },
    sound=("plain", "batch-norm", "kl-warm-up"),
)
def shapes_conv_vae(watch: Watch, seed: int, variant: str) -> Outcome:
    generator = torch.Generator().manual_seed(100 + seed)
    torch.manual_seed(seed)
    train, test = draw_shapes(1500, generator), draw_shapes(300, generator)
    net = ConvVAE(
        norm=variant == "batch-norm",
        last=nn.Sigmoid() if variant == "sigmoid-output" else None,
        detach=variant == "latent-detached",
    )
    learned = net.decoder.parameters() if variant == "decoder-only" else net.parameters()
    optim = torch.optim.Adam(learned, lr=0.003 if variant != "batch-norm" else 0.005)
    steps, batch, epochs = 0, 50, 12

    with watch(net, optim) as monitor:
        for _epoch in range(epochs):
            net.train()
            order = torch.randperm(len(train))
            for i in range(0, len(train), batch):
                x = train[order[i : i + batch]]
                x_hat, mu, logvar = net(x)
                squared = (x_hat - x).pow(2)
                if variant == "mean-beside-sum":
                    rec = squared.mean()
                else:
                    rec = squared.flatten(1).sum(1).mean()
                kl = 0.5 * (mu.pow(2) + logvar.exp() - 1 - logvar).sum(1).mean()
                weight = min(1.0, steps / 150) if variant == "kl-warm-up" else 1.0
                loss = rec + weight * kl
                optim.zero_grad()
                loss.backward()
                optim.step()
                steps += 1
                monitor.step(
                    loss,
                    inputs=x,
                    outputs=x_hat,
                    targets=x,
                    parts={"reconstruction": rec, "kl": kl},
                    latent={"mu": mu, "logvar": logvar},
                )
    net.eval()
    with torch.no_grad():
        x_hat, mu, logvar = net(test)
        error = (x_hat - test).square().mean() / (test - train.mean(0)).square().mean()
    return Outcome(error.item(), math.isfinite(error.item()) and error.item() < 0.6)
