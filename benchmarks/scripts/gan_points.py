"""A GAN that learns a tilted, stretched cloud of points around (2, -1)."""

import torch
import torch.nn as nn

LATENT_DIM = 8
BATCH_SIZE = 256
N_ITERATIONS = 1500
MIXING = torch.tensor([[1.0, 0.0], [0.6, 0.5]])
CENTRE = torch.tensor([2.0, -1.0])


def sample_real(n):
    return torch.randn(n, 2) @ MIXING.T + CENTRE


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(LATENT_DIM, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
        )

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )

    def forward(self, x):
        return self.net(x)


def train():
    netG = Generator()
    netD = Discriminator()
    criterion = nn.BCEWithLogitsLoss()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=5e-4, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=5e-4, betas=(0.5, 0.999))
    real_label = torch.ones(BATCH_SIZE, 1)
    fake_label = torch.zeros(BATCH_SIZE, 1)

    for i in range(N_ITERATIONS):
        # (1) discriminator: real against generated points
        netD.zero_grad()
        real = sample_real(BATCH_SIZE)
        errD_real = criterion(netD(real), real_label)
        errD_real.backward()
        fake = netG(torch.randn(BATCH_SIZE, LATENT_DIM))
        errD_fake = criterion(netD(fake.detach()), fake_label)
        errD_fake.backward()
        optimizerD.step()

        # (2) generator: its points should be called real
        netG.zero_grad()
        errG = criterion(netD(fake), real_label)
        errG.backward()
        optimizerG.step()

        if i % 250 == 0:
            errD = errD_real.item() + errD_fake.item()
            print(f"[{i}/{N_ITERATIONS}] Loss_D: {errD:.4f} Loss_G: {errG.item():.4f}")

    with torch.no_grad():
        fake = netG(torch.randn(5000, LATENT_DIM))
    real = sample_real(5000)
    print("mean real", real.mean(0).tolist(), "generated", fake.mean(0).tolist())
    print("cov  real", torch.cov(real.T).tolist(), "generated", torch.cov(fake.T).tolist())


if __name__ == "__main__":
    torch.manual_seed(999)
    train()
