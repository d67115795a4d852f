"""Fresh nets of one cell and short trainings of them: the bench that controls are handed."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import nn

from famulus.diagnosis.controls import bench
from famulus.diagnosis.controls.samples import load, spread
from famulus.diagnosis.remedy import Owner
from famulus.feed.feeder import Batch, Feeder
from famulus.launch.board import cost
from famulus.launch.fresh_net import CORRUPTED, FreshNet
from famulus.launch.plan import Ready
from famulus.schedule import learning_rate
from famulus.tasks.base import Facts
from famulus.training import memory
from famulus.training.preflight import rehearse
from famulus.training.progress import Calendar
from famulus.training.randomness import Streams

SAMPLES, FEWEST = 16, 4  # of a frozen batch
QUICK_S = 0.1  # a step of it that is not slow
HELD = 64  # held-out samples that short trainings are judged by
KEPT = 256 << 20  # bytes of training batches that are kept for the next short training
SETTLED, SETTLING = 100, 30  # steps that settle running statistics; passes that do it without
SLOW = 16  # batches of a source that has to work for them


class Trial:
    """One cell on one device: a `Bench`, where each member is explained.

    Use inside `Streams.isolated`.
    """

    def __init__(self, cell: Ready, device: torch.device, cells: int = 1) -> None:
        self.cell, self.device, self.cells = cell, device, cells
        self.slug, self.task = cell.slug, cell.task
        self.training, self.data = cell.training, cell.data
        self.owner = Owner(cell.config, type(cell.task))
        self.streams = Streams(cell.training.seed, device)
        self.calendar = Calendar(cell.training, len(cell.data.train))
        self.overfit_steps = 0
        self.suggestion: float | None = None
        self._fits: dict[tuple, bench.Fit] = {}
        self._stream: list[Batch] = []
        self._feeder: Feeder | None = None

    @cached_property
    def frozen(self) -> Batch:
        """16 samples, fewer where a step of those is slow."""
        most = min(SAMPLES, max(self.training.batch, FEWEST))
        batch = spread(self.data.train, most, self.device)
        slow = self.seconds(self.net(), batch) / QUICK_S
        if slow <= 1 or most <= FEWEST:
            return batch
        return spread(self.data.train, max(FEWEST, int(most / slow)), self.device)

    @cached_property
    def held(self) -> Batch:
        return spread(self.data.validation, min(HELD, 2 * self.training.batch), self.device)

    @cached_property
    def floors(self) -> Mapping[str, bench.Floor]:
        for source in (self.data.train, self.data.validation):
            source.to(self.device)  # what has yet to be computed of it is computed there
        return self.task.floors(self.data)

    @cached_property
    def part(self) -> str:
        """`recon` where there is one: a KL may be switched off in the first steps."""
        return "recon" if "recon" in self.net().parts(self.frozen) else "total"

    @cached_property
    def best(self) -> float:
        known = [f for f in self.floors.values() if f.means == "best possible"]
        return known[0].value if known else 0.0

    @cached_property
    def changes(self) -> str:
        changes = Facts.of(self.task.facts()).changes
        return changes.what if changes else ""

    @cached_property
    def step_s(self) -> float:
        return self.seconds(self.net(), next(iter(self.fed(1))))

    @cached_property
    def small_s(self) -> float:
        return self.seconds(self.net(), self.frozen)

    @cached_property
    def quick(self) -> bool:
        return self.step_s <= QUICK_S

    def net(self, factor: float = 1.0) -> FreshNet:
        return FreshNet(self.task, self.streams, self.calendar, factor)

    def fed(self, count: int) -> Iterator[Batch]:
        """The first batches of the run, kept for the next short training; the same few, in turn,
        where they are large or slow to load."""
        for number in range(count):
            size = sum(t.nbytes for t in self._stream[0].values()) if self._stream else 1
            most = max(1, min(KEPT // size, SLOW if self.data.train.slow else count))
            if number % most >= len(self._stream):
                if self._feeder is None:
                    training = self.training
                    stream = self.data.train, training.batch, training.seed, self.device
                    self._feeder = Feeder(*stream, 0, training.workers)
                self._stream.append(next(self._feeder))
            yield self._stream[number % most]

    def close(self) -> None:
        if self._feeder is not None:
            self._feeder.close()

    def seconds(self, net: bench.Net, batch: Batch) -> float:
        times: list[float] = []
        while len(times) < 3 and (not times or times[0] <= 1.0):
            began = time.perf_counter()
            net.step(batch)
            self.wait()
            times.append(time.perf_counter() - began)
        return min(times)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def fit(
        self, kind: str, factor: float, steps: int, *, fresh: bool = False, noisy: bool = False
    ) -> bench.Fit:
        """Remembered. Why `noisy`: numbers that stay the same tell the samples apart, even behind a
        zeroed input."""
        key = (kind, factor, steps, fresh, noisy)
        if key not in self._fits:
            self._fits[key] = self._fit(*key)
        return self._fits[key]

    def _fit(self, kind: str, factor: float, steps: int, fresh: bool, noisy: bool) -> bench.Fit:
        net, values = self.net(factor), []
        for number in range(steps):
            batch = self.reloaded(number) if fresh else self.frozen
            values.append(net.step(batch, number if noisy else 0, kind, at=0)[self.part])
            if not np.isfinite(values[-1]):
                break
        tail = values[-max(1, len(values) // 10) :] if fresh or noisy else values[-1:]
        with torch.no_grad():
            if len(values) < SETTLED:  # running statistics lag behind weights that moved fast
                for _ in range(SETTLING):
                    net.parts(self.frozen, 0, kind, at=0)
        judged = net.judge(self.frozen, kind)[self.part]
        with torch.no_grad():
            other = float(net.parts(self.frozen, CORRUPTED, kind, at=0)[self.part])
        return bench.Fit(values[0], float(np.mean(tail)), judged, len(values), other)

    def reloaded(self, epoch: int) -> Batch:
        return load(self.data.train, self.frozen["index"].cpu().numpy(), epoch, self.device)

    def scores(self, model: nn.Module, noise: int | None = None) -> dict[str, float]:
        if noise is None:
            self.streams.validation()
        else:
            self.streams.step(noise)
        return dict(self.task.scores(model, iter([dict(self.held)])))

    def self_tests(self, model: nn.Module) -> Iterable[bench.SelfTest]:
        self.streams.validation()
        return self.task.self_tests(model, dict(self.frozen))

    def summed_rate(self) -> tuple[float, int]:
        calendar, training = self.calendar, self.training
        updates = max(1, -(-calendar.budget // calendar.per_step))
        rates = []
        # At most 2,000 places: a run may have millions of updates.
        for point in np.unique(np.linspace(0, updates - 1, 2000).astype(np.int64)):
            place = calendar.place(int(point) * calendar.per_step)
            rates.append(learning_rate(training.schedule, training.optimizer.lr, place))
        return float(np.mean(rates)) * updates, int(updates)

    def forecast(self) -> tuple[str, dict[str, float]]:
        ahead = rehearse(self.cell.setup(self.device))
        figures = {"seconds": ahead.seconds, "bytes": ahead.bytes}
        if ahead.memory_bytes is not None:
            figures["memory_bytes"] = ahead.memory_bytes
        return cost(ahead), figures

    def room(self) -> int | None:
        return memory.available(self.device)

    def anew(self) -> Self:
        task = type(self.task)(self.task.config, self.task.parents)
        return type(self)(replace(self.cell, task=task), self.device)

    def on_cpu(self) -> Self:
        return self if self.device.type == "cpu" else type(self)(self.cell, torch.device("cpu"))
