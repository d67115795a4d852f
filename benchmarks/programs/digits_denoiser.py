"""A denoising autoencoder: noisy digits in, clean digits out, mean squared error."""

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

from benchmarks.programs.frame import Outcome, Watch, family


class NoisyDigits(Dataset):
    """Pairs of a noisy and a clean picture, 64 numbers each."""

    def __init__(self, clean, noise, rng):
        self.clean = torch.tensor(clean, dtype=torch.float32)
        spread = float(self.clean.max() - self.clean.min())
        self.noisy = self.clean + noise * spread * torch.tensor(
            rng.standard_normal(clean.shape), dtype=torch.float32
        )

    def __len__(self):
        return len(self.clean)

    def __getitem__(self, i):
        return self.noisy[i], self.clean[i]


def build(dropout, last):
    layers = [
        nn.Linear(64, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, 24),
        nn.ReLU(),
        nn.Linear(24, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
    ]
    if last is not None:
        layers.append(last)
    return nn.Sequential(*layers)


@family(
    kind="autoencoder",
    loss="standard",
    faults={
        "sigmoid-for-minus-one": ("output-activation",),
        "eight-bit-targets": ("output-activation", "targets-out-of-range", "input-out-of-range"),
        "relu-for-negative": ("output-activation", "dead-units"),
        "start-large": ("initialisation",),
        "pairs-mixed-up": ("predicts-the-mean",),
    },
    sound=("plain", "much-noise", "sigmoid", "dropout"),
)
def digits_denoiser(watch: Watch, seed: int, variant: str) -> Outcome:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pictures = rng.permutation(load_digits().data) / 16  # 0..1
    if variant == "sigmoid-for-minus-one":
        pictures = pictures * 2 - 1
    elif variant == "eight-bit-targets":
        pictures = np.round(pictures * 255)
    elif variant == "relu-for-negative":
        pictures = -pictures  # dark ink on paper: 0 is paper, -1 ink
    noise = 0.6 if variant == "much-noise" else 0.25
    train = NoisyDigits(pictures[:1400], noise, rng)
    test = NoisyDigits(pictures[1400:], noise, rng)

    last = None
    if variant in ("sigmoid", "sigmoid-for-minus-one", "eight-bit-targets"):
        last = nn.Sigmoid()
    elif variant == "relu-for-negative":
        last = nn.ReLU()
    net = build(0.5 if variant == "dropout" else 0.0, last)
    if variant == "start-large":
        with torch.no_grad():
            for layer in net:
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(8)

    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    loader = DataLoader(train, batch_size=100, shuffle=True)
    with watch(net, optimizer) as monitor:
        for _ in range(25):
            net.train()
            for noisy, clean in loader:
                if variant == "pairs-mixed-up":
                    clean = clean[torch.randperm(len(clean))]
                optimizer.zero_grad()
                output = net(noisy)
                loss = criterion(output, clean)
                loss.backward()
                optimizer.step()
                monitor.step(loss, inputs=noisy, outputs=output, targets=clean, loss_fn=criterion)
            net.eval()
            with torch.no_grad():
                monitor.validate(loss=criterion(net(test.noisy), test.clean).item())

    net.eval()
    with torch.no_grad():
        error = criterion(net(test.noisy), test.clean)
        constant = criterion(train.clean.mean(0).expand_as(test.clean), test.clean)
    ratio = (error / constant).item()
    return Outcome(ratio, ratio < 0.75)
