"""What a script finds around itself, printed, while it trains."""

import atexit
import copy
import inspect
import io
import os
import pickle  # noqa: TID251 - what people do with their own models
import random
import signal
import sys
import threading
import time

import neighbour_of_the_probe
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x)


def stored(what):
    """The bytes of a whole object, read again; and whether they know of a watch."""
    file = io.BytesIO()
    torch.save(what, file)
    torch.load(io.BytesIO(file.getvalue()), weights_only=False)  # noqa: TID251
    copy.deepcopy(what)
    return b"famulus" in file.getvalue()


def surroundings():
    main = sys.modules["__main__"]
    print("argv", sys.argv)
    print("name", __name__, "doc", __doc__, "spec", __spec__)
    print("file", __file__, main.__file__)
    print("main is here", vars(main) is globals())
    print("path", sys.path)
    print("folder", os.getcwd())
    print("environment", sorted(os.environ))
    print("neighbour", neighbour_of_the_probe.NAME)
    print("stdin", sys.stdin.read())
    print("streams", sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__)
    print("interrupts", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    print("terminates", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    print("hooks", sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile())
    print("source", inspect.getsource(Net).splitlines()[0], Net.__module__)
    print("threads", torch.get_num_threads(), threading.current_thread().name)
    print("limit", sys.getrecursionlimit())
    print("torch", torch.get_default_dtype(), torch.is_grad_enabled(), torch.initial_seed() > 0)
    print("modes", torch.are_deterministic_algorithms_enabled(), torch.is_anomaly_enabled())


def late():
    """Runs on while the main thread is through with the script."""
    time.sleep(0.5)
    print("thread over", sys.modules["__main__"].Net is Net, flush=True)


def goodbye(model):
    pickle.dumps(model)
    print("goodbye", random.random(), flush=True)


def main():
    surroundings()
    torch.manual_seed(0)
    random.seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    atexit.register(goodbye, model)
    for step in range(30):
        x = torch.randn(8, 3)
        loss = nn.functional.mse_loss(model(x), x.sum(1, keepdim=True))
        if step in (0, 1, 9):  # also between forward and backward
            print("trace in files", stored(model), stored([optimizer, loss.item()]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (0, 1, 9):
            print("trace in files", stored(model), stored(optimizer.state_dict()))
    print("trace in files", stored(model), stored(optimizer))
    print("loss", loss.item(), file=sys.stderr)
    threading.Thread(target=late).start()


main()
print("last line")
