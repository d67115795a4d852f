"""What a monitor and `famulus.watch` cost a loop of one's own, and whether the doctor is right.

A small net, batch 64, whose width grows until a step takes some 5 or 2 ms here. Watched and
unwatched blocks of the same weights alternate, each with an optimizer of its own. A block is 128
steps, one of them sampled, as from step 128 to 2,048 of a run; later samples are rarer. The first
128 steps of a run hold eight samples: `..._first_128_over_unwatched`, of runs that are new in each
block.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.timing import interleaved, ratio, seconds
from benchmarks.watched_scripts import HELD_OUT, scripts
from benchmarks.watched_scripts import figures as judged
from famulus import Monitor
from famulus.bridges.watch.session import Watch
from famulus.diagnosis.probes.probe import FIRST

BATCH, INPUTS, CLASSES = 64, 64, 10
AIMS_MS = {"": 5.0, "_2ms": 2.0}  # by the end of a key
WIDTH, LAYERS = 64, 4
ROUND = 30  # blocks with one monitor: at step 4,096 samples become rarer
Step = Callable[[], object]
Steps = Callable[[int], None]  # that many


class Training:
    """A net on one random batch: what it learns is of no interest, and its steps are alike."""

    def __init__(self, width: int) -> None:
        torch.manual_seed(0)
        sizes = [INPUTS, *[width] * (LAYERS - 1)]
        body = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
        self.net = nn.Sequential(*(m for pair in body for m in pair), nn.Linear(width, CLASSES))
        self.inputs = torch.randn(BATCH, INPUTS)
        self.targets = torch.randint(CLASSES, (BATCH,))

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.net.parameters(), lr=1e-5)

    def step(self, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
        """What a monitor is told of it."""
        optimizer.zero_grad()
        outputs = self.net(self.inputs)
        loss = F.cross_entropy(outputs, self.targets)
        loss.backward()
        optimizer.step()
        return {
            "loss": loss, "inputs": self.inputs, "outputs": outputs, "targets": self.targets
        }  # fmt: skip


@contextlib.contextmanager
def _monitored(training: Training, store: str) -> Iterator[Steps]:
    """Steps under a new monitor."""
    optimizer = training.optimizer()
    monitor = Monitor(training.net, optimizer, store).start()
    try:
        yield lambda count: _many(lambda: monitor.step(**training.step(optimizer)), count)
    finally:
        monitor.close(KeyboardInterrupt())  # no trials at the end


@contextlib.contextmanager
def _watched(training: Training, store: str) -> Iterator[Steps]:
    """Steps under a new `famulus.watch`; between blocks torch is as it was."""
    watched = Watch(store, controls_steps=0).start()
    seams = watched._seams
    seams.remove()
    optimizer, roots = None, dict(seams.roots)

    def steps(count: int) -> None:
        nonlocal optimizer
        seams.install()
        seams.roots.update(roots)
        optimizer = optimizer or training.optimizer()
        _many(lambda: training.step(optimizer), count)
        roots.update(seams.roots)
        seams.remove()

    try:
        yield steps
    finally:
        seams.install()
        watched.close(KeyboardInterrupt())


# what is held against the bare loop; a key is `<name>_over_unwatched`
WATCHERS = {"step": _watched, "monitor": _monitored}


def measure(quick: bool) -> dict[str, float]:
    rounds = 1 if quick else 2
    figures: dict[str, float] = {}
    for end, aim_ms in AIMS_MS.items():
        training, step_ms = _of_length(aim_ms)
        optimizer = training.optimizer()

        def unwatched(
            training: Training = training, own: torch.optim.Optimizer = optimizer
        ) -> None:
            training.step(own)

        for name, watcher in WATCHERS.items():
            key = f"{name}_over_unwatched{end}"
            times = [_settled(training, watcher, unwatched) for _ in range(rounds)]
            figures[key], figures[f"{key}_upper95"] = ratio(*np.concatenate(times, axis=1))
            times = [_first(training, watcher, unwatched) for _ in range(rounds * ROUND)]
            key = f"{name}_first_{FIRST}_over_unwatched{end}"
            figures[key], figures[f"{key}_upper95"] = ratio(*np.transpose(times))
        figures[f"step_ms{end}"] = step_ms
    # the held-out half takes two minutes more than --quick has
    figures |= judged(scripts(), () if quick else scripts(folder=HELD_OUT))
    return figures | {"threads": torch.get_num_threads()}


def _of_length(aim_ms: float) -> tuple[Training, float]:
    """A training whose steps take `aim_ms` or just more, and what they take."""
    width = step_ms = 0
    while step_ms < aim_ms:
        width += WIDTH
        training = Training(width)
        optimizer = training.optimizer()
        times = [seconds(lambda: training.step(optimizer)) for _ in range(40)]  # noqa: B023
        step_ms = 1000 * statistics.median(times)
    return training, step_ms


def _many(step: Step, count: int = FIRST) -> None:
    for _ in range(count):
        step()


def _settled(training: Training, watcher: Callable, unwatched: Step) -> np.ndarray:
    """Seconds of watched and of unwatched blocks, (2, blocks), from step 128 on."""
    with tempfile.TemporaryDirectory() as store, watcher(training, store) as steps:
        # samples fall into the middle of blocks: at the end of one no hook waits for the next step
        steps(FIRST + FIRST // 2)
        return np.stack(interleaved(lambda: steps(FIRST), lambda: _many(unwatched), ROUND))


def _first(training: Training, watcher: Callable, unwatched: Step) -> tuple[float, float]:
    """Seconds of the first 128 watched steps and of as many unwatched ones."""
    with tempfile.TemporaryDirectory() as store, watcher(training, store) as steps:
        watched_s = seconds(lambda: steps(FIRST))
    return watched_s, seconds(lambda: _many(unwatched))
