"""Trainings in many styles, one after the other; what each computed goes into record.json.

`python styles.py [--only STYLE...]`. Of each model's class: `losses`, a list for each update; `lr`
of each update; `samples`; `val`, means of validations.
"""

import argparse
import copy
import functools
import json

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

STEPS, SIZE = 20, 16
X = torch.linspace(-2, 2, 384).reshape(96, 4).sin()
Y = (X.sum(1) > 0).long()
smooth = functools.partial(cross_entropy, label_smoothing=0.1)
RECORD = {}


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


class Log:
    """What a person would print."""

    def __init__(self, name):
        self.update = []
        self.of = RECORD[name] = {"losses": [], "lr": [], "samples": 0, "val": []}

    def loss(self, loss, samples=SIZE):
        self.update.append(loss.item())
        self.of["samples"] += samples

    def step(self, optimizer):
        self.of["losses"].append(self.update)
        self.of["lr"].append(float(optimizer.param_groups[0]["lr"]))
        self.update = []


def batches(n=STEPS):
    for _ in range(n):
        chosen = torch.randperm(len(X))[:SIZE]
        yield X[chosen], Y[chosen]


def train(model, loss_of, log, optimizer, steps=STEPS):
    """The plainest loop."""
    for x, y in batches(steps):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        log.loss(loss)
        log.step(optimizer)


def simple(name, loss_of):
    model = type(name, (Net,), {})()
    train(model, loss_of, Log(name), torch.optim.SGD(model.parameters(), lr=0.1))


def loss_module():
    simple("LossModule", nn.CrossEntropyLoss())


def from_import():
    simple("FromImport", cross_entropy)


def partial():
    simple("Partial", smooth)


def by_hand():
    simple("ByHand", lambda out, y: ((out.softmax(1)[:, 1] - y.float()) ** 2).mean())


def weighted_sum():
    """Several terms make the loss: what is optimised is their sum."""
    simple(
        "WeightedSum",
        lambda out, y: cross_entropy(out, y) + 0.5 * F.mse_loss(out[:, 0], 1.0 - y.float()),
    )


class Scaled(Net):
    pass


def scaled():
    model, log = Scaled(), Log("Scaled")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for x, y in batches():
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        log.loss(loss)
        log.step(optimizer)


class Cast(Net):
    pass


def cast():
    model, log = Cast(), Log("Cast")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x, y in batches():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        log.loss(loss)
        log.step(optimizer)


class Accumulated(Net):
    pass


def accumulated():
    model, log = Accumulated(), Log("Accumulated")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    for n, (x, y) in enumerate(batches(4 * STEPS)):
        loss = criterion(model(x), y)
        (loss / 4).backward()
        log.loss(loss)
        if n % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
            log.step(optimizer)


class Scheduled(Net):
    pass


def scheduled():
    model, log = Scheduled(), Log("Scheduled")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        log.loss(loss)
        log.step(optimizer)
        schedule.step()


def validated(name, validate):
    """Three epochs over a loader, each with a validation over another."""
    model, log = type(name, (Net,), {})(), Log(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loader = DataLoader(TensorDataset(X, Y), batch_size=SIZE, shuffle=True)
    # other samples than those trained on, or the means could be mixed up and agree
    held_out = DataLoader(TensorDataset(X.flip(1) + 0.3, Y), batch_size=SIZE)
    for _ in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            log.loss(loss)
            log.step(optimizer)
        log.of["val"].append(validate(model, held_out))


def mean(model, loader):
    return sum(F.cross_entropy(model(x), y).item() for x, y in loader) / len(loader)


def eval_without_grad():
    def validate(model, loader):
        model.eval()
        with torch.no_grad():
            return mean(model, loader)

    validated("EvalWithoutGrad", validate)


def eval_with_grad():
    def validate(model, loader):
        return mean(model.eval(), loader)

    validated("EvalWithGrad", validate)


def only_without_grad():
    @torch.no_grad()
    def validate(model, loader):
        return mean(model, loader)

    validated("OnlyWithoutGrad", validate)


def in_inference_mode():
    def validate(model, loader):
        model.eval()
        with torch.inference_mode():
            return mean(model, loader)

    validated("InInferenceMode", validate)


class Closure(Net):
    pass


def closure():
    model, log = Closure(), Log("Closure")
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.2, max_iter=3)
    for x, y in batches():

        def again(x=x, y=y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            log.loss(loss, 0)
            return loss

        optimizer.step(again)
        log.step(optimizer)
        log.of["samples"] += SIZE


class Coder(nn.Module):
    """Nobody calls its `forward`."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 2), nn.Linear(2, 4)

    def encode(self, x):
        return self.inner(x).tanh()

    def decode(self, code):
        return self.outer(code)


def coder():
    model, log = Coder(), Log("Coder")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for x, _ in batches():
        optimizer.zero_grad()
        loss = F.l1_loss(model.decode(model.encode(x)), x)
        loss.backward()
        optimizer.step()
        log.loss(loss)
        log.step(optimizer)


def parts():
    """Two modules that nothing holds, under one optimizer, with a name of its own."""
    log = Log("parts")
    trunk, top = nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Linear(8, 2)
    of_both = torch.optim.Adam([*trunk.parameters(), *top.parameters()], lr=1e-2)
    for x, y in batches():
        of_both.zero_grad()
        loss = F.cross_entropy(top(trunk(x)), y)
        loss.backward()
        of_both.step()
        log.loss(loss)
        log.step(of_both)


class Rebuilt(Net):
    pass


def rebuilt():
    """A second optimizer over the same weights, as for a second phase: the same training."""
    model, log = Rebuilt(), Log("Rebuilt")
    train(model, F.cross_entropy, log, torch.optim.Adam(model.parameters(), lr=1e-2))
    train(model, F.cross_entropy, log, torch.optim.SGD(model.parameters(), lr=1e-2))


class Copied(Net):
    pass


def copied():
    """A copy of all there is after each update, as for averaged weights and the best epoch."""
    model, log = Copied(), Log("Copied")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        log.loss(loss)
        log.step(optimizer)
        best = copy.deepcopy(model)
        copy.deepcopy(optimizer)
        best(x)  # no part of the training


STYLES = (
    loss_module, from_import, partial, by_hand, weighted_sum, scaled, cast, accumulated, scheduled,
    eval_without_grad, eval_with_grad, only_without_grad, in_inference_mode, closure, coder, parts,
    rebuilt, copied,
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", default=[style.__name__ for style in STYLES])
    parser.add_argument("--token")
    parser.add_argument("--password")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    for style in STYLES:
        if style.__name__ in arguments.only:
            style()
            print("trained", style.__name__)
    with open("record.json", "w") as file:
        json.dump(RECORD, file)


if __name__ == "__main__":
    main()
