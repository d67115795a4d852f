"""The GAN of many tutorials: two networks, two optimizers, one training; at module level."""

import json
import sys

import torch
from torch import nn

torch.manual_seed(0)


class Generator(nn.Sequential):
    pass


class Discriminator(nn.Sequential):
    pass


netG = Generator(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
netD = Discriminator(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
criterion = nn.BCELoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
losses = {"errD_real": [], "errD_fake": [], "errG": []}

for _ in range(40):
    real = torch.randn(16, 2) * 0.3 + 1
    netD.zero_grad()
    errD_real = criterion(netD(real).view(-1), torch.ones(16))
    errD_real.backward()
    fake = netG(torch.randn(16, 2))
    errD_fake = criterion(netD(fake.detach()).view(-1), torch.zeros(16))
    errD_fake.backward()
    optimizerD.step()
    netG.zero_grad()
    errG = criterion(netD(fake).view(-1), torch.ones(16))
    errG.backward()
    optimizerG.step()
    for name, loss in (("errD_real", errD_real), ("errD_fake", errD_fake), ("errG", errG)):
        losses[name].append(loss.item())

with open("losses.json", "w") as file:
    json.dump(losses, file)
print("the script is through")
print("and said so", file=sys.stderr)
