"""Trains, and then ends as its argument says."""

import signal
import sys

import torch
from torch import nn

model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


def train(steps=25):
    for _ in range(steps):
        x = torch.randn(8, 2)
        loss = nn.functional.mse_loss(model(x), x[:, :1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def chained():
    """Errors of a module, a function of torch, `backward` and the script, one behind the other."""
    try:
        try:
            try:
                model(torch.ones(2, 3))
            except RuntimeError:
                nn.functional.cross_entropy(torch.ones(2, 3), torch.ones(5).long())
        except ValueError:
            loss = model(torch.ones(2, 2)).mean()
            loss.backward()
            loss.backward()
    except RuntimeError as error:
        raise KeyError("no such thing") from error


def hooked():
    sys.excepthook = lambda kind, *_: print("my own words:", kind.__name__, file=sys.stderr)
    print(1 / 0)


def interrupted():
    """Ctrl-C in the middle of a training, as the terminal sends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    train(3)
    signal.raise_signal(signal.SIGINT)
    train(3)
    print("never reached")


print("begin")
train()
end = sys.argv[1]
if end == "chained":
    chained()
elif end == "hooked":
    hooked()
elif end == "three":
    sys.exit(3)
elif end == "words":
    sys.exit("not today")
elif end == "interrupted":
    interrupted()
elif end == "saved":
    try:
        interrupted()
    except KeyboardInterrupt:
        print("saved what there was")
print("end")
