"""Ten trainings in ten styles: of each, a hash of its weights and of all random streams.

`python ten.py [--disturbed] [STYLE...]`; disturbed: one random number more is drawn in each.
"""

import argparse
import copy
import functools
import hashlib
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

STEPS = 12
X = torch.linspace(-2, 2, 384).reshape(96, 4).sin()
Y = (X.sum(1) > 0).long()
smooth = functools.partial(cross_entropy, label_smoothing=0.1)


def batch(size=16):
    chosen = torch.randperm(len(X))[:size]
    return X[chosen], Y[chosen]


def net(kind, *layers):
    """A Sequential of a class of its own, by which its run is known."""
    return type(kind, (nn.Sequential,), {})(*layers)


def say(loss):
    print(float(loss.detach()).hex())


class Trainer:
    """The style of a class: everything hangs on `self`."""

    def __init__(self):
        self.model = net("Classed", nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        self.criterion = nn.CrossEntropyLoss()

    def train(self):
        for _ in range(STEPS):
            x, y = batch()
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            say(loss)


def classed():
    trainer = Trainer()
    trainer.train()
    return [trainer.model]


def loaded():
    model = net("Loaded", nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True)
    held_out = DataLoader(TensorDataset(X, Y), batch_size=48)
    for _ in range(4):
        model.train()
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = smooth(model(x), y)
            loss.backward()
            optimizer.step()
            say(loss)
        model.eval()
        with torch.no_grad():
            print(sum(float(cross_entropy(model(x), y)) for x, y in held_out))
    return [model]


def adversarial():
    maker = net("Maker", nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
    judge = net("Judge", nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    for_maker = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.5, 0.999))
    for_judge = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    for _ in range(STEPS):
        x, _ = batch()
        for_judge.zero_grad()
        real = criterion(judge(x), torch.ones(len(x), 1))
        real.backward()
        fake = maker(torch.randn(len(x), 2))
        false = criterion(judge(fake.detach()), torch.zeros(len(x), 1))
        false.backward()
        for_judge.step()
        for_maker.zero_grad()
        fooled = criterion(judge(fake), torch.ones(len(x), 1))
        fooled.backward()
        for_maker.step()
        say(real + false + fooled)
    return [maker, judge]


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 4), nn.Linear(2, 4)

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (logvar / 2).exp()
        return self.decoder(code), mean, logvar


def variational():
    model = Variational()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        x, _ = batch()
        again, mean, logvar = model(x)
        divergence = -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1).mean()
        loss = F.mse_loss(again, x, reduction="sum") / len(x) + 0.1 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        say(loss)
    return [model]


def closed():
    model = net("Closed", nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.3, max_iter=4)
    for _ in range(STEPS):
        x, y = batch(32)

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        say(optimizer.step(closure))
    return [model]


def accumulated():
    model = net("Accumulated", nn.Linear(4, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for n in range(4 * STEPS):
        x, y = batch()
        loss = F.cross_entropy(model(x), y)
        (loss / 4).backward()
        if n % 4 == 3:
            print(float(nn.utils.clip_grad_norm_(model.parameters(), 1.0)).hex())
            optimizer.step()
            optimizer.zero_grad()
        say(loss)
    return [model]


def mixed():
    model = net("Mixed", nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # overflows, then backs off
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(8 * loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        say(loss)
    return [model]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.head = nn.LSTM(2, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.memory(x)[0][:, -1])


def recurrent():
    model = Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        x, y = batch()
        x = x + 0.01 * torch.from_numpy(np.random.randn(*x.shape)).float()
        if random.random() < 0.5:
            x = x.flip(1)
        loss = F.cross_entropy(model(x.reshape(len(x), 2, 2)), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        say(loss)
    return [model]


def tuned():
    """A frozen part, groups of parameters, a schedule, averaged weights by `deepcopy`."""
    encoder = net("Tuned", nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8))
    head = nn.Linear(8, 2)
    encoder[0].requires_grad_(False)
    groups = [
        {"params": encoder[2].parameters(), "lr": 1e-3},
        {"params": head.parameters(), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [2e-3, 2e-2], total_steps=STEPS)
    averaged = copy.deepcopy(head)
    for _ in range(STEPS):
        x, y = batch()
        loss = nn.functional.nll_loss(F.log_softmax(head(encoder(x)), 1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        for ours, theirs in zip(averaged.parameters(), head.parameters(), strict=True):
            ours.data.lerp_(theirs.data, 0.1)
        copy.deepcopy((encoder, head, optimizer))
        say(loss)
    return [encoder, head, averaged]


class Recomputed(nn.Module):
    """Its first half is computed a second time within `backward`, dropout and all."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3))
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        return self.last(checkpoint(self.first, x, use_reentrant=False))


def recomputed():
    model = Recomputed()
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        x, y = batch()
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        say(loss)
    return [model]


STYLES = (
    classed, loaded, adversarial, variational, closed, accumulated, mixed, recurrent, tuned,
    recomputed,
)  # fmt: skip


def hashed(models):
    """All there is of a training: weights, buffers, and what the next random numbers are."""
    state = [t.numpy().tobytes() for m in models for t in m.state_dict().values()]
    state.append(torch.get_rng_state().numpy().tobytes())
    state += [repr(np.random.get_state()).encode(), repr(random.getstate()).encode()]
    return hashlib.sha256(b"".join(state)).hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("styles", nargs="*", default=[style.__name__ for style in STYLES])
    parser.add_argument("--disturbed", action="store_true")
    arguments = parser.parse_args()
    for style in STYLES:
        if style.__name__ in arguments.styles:
            torch.manual_seed(1)
            np.random.seed(2)
            random.seed(3)
            if arguments.disturbed:
                torch.rand(())
            print(style.__name__, hashed(style()))


if __name__ == "__main__":
    main()
