"""Fresh nets of one cell and short trainings of them."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from famulus.diagnosis.controls.overfit import Fit
from famulus.diagnosis.controls.rate import STEPS, Sweep, sweep
from famulus.feed.feeder import Feeder, fixed_batch
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds
from famulus.launch.bench import inputs
from famulus.launch.plan import Ready
from famulus.schedule import learning_rate
from famulus.tasks.base import Batch, Floor, Position
from famulus.training.optim import build_optimizer, clip_gradients, set_rate
from famulus.training.progress import Calendar
from famulus.training.randomness import Streams

SAMPLES, FEWEST = 16, 4  # of a frozen batch
QUICK_S = 0.1  # a step of it that is not slow
HELD = 64  # held-out samples that short trainings are judged by
KEPT = 256 << 20  # bytes of training batches that are kept for the next short training
SETTLED, SETTLING = 100, 30  # steps that settle running statistics; passes that do it without
SLOW = 16  # batches of a source that has to work for them
CORRUPTED = 777  # stream of the numbers that replace an input


class Trial:
    """One cell on one device. Use inside `Streams.isolated`."""

    def __init__(self, cell: Ready, device: torch.device) -> None:
        self.cell, self.device = cell, device
        self.task, self.training, self.data = cell.task, cell.training, cell.data
        self.streams = Streams(cell.training.seed, device)
        self.calendar = Calendar(cell.training, len(cell.data.train))
        self.cells = 1  # of the experiment
        self.sweep_steps = STEPS  # of the range test
        self.overfit_steps = 0  # that the frozen batch was given; further fits take as many
        self._fits: dict[tuple, Fit] = {}
        self._stream: list[Batch] = []
        self._feeder: Feeder | None = None

    def batch(self, source: Source, count: int) -> Batch:
        """Samples spread evenly over a split, as every validation has them."""
        count = min(count, len(source))
        chosen = np.unique(np.linspace(0, len(source) - 1, count).astype(np.int64))
        return fixed_batch(source, chosen, self.device)

    @cached_property
    def frozen(self) -> Batch:
        """The batch to learn by heart: 16 samples, fewer where a step of those is slow."""
        most = min(SAMPLES, max(self.training.batch, FEWEST))
        batch = self.batch(self.data.train, most)
        slow = self._timed(batch) / QUICK_S
        if slow <= 1 or most <= FEWEST:
            return batch
        return self.batch(self.data.train, max(FEWEST, int(most / slow)))

    @cached_property
    def held(self) -> Batch:
        return self.batch(self.data.validation, min(HELD, 2 * self.training.batch))

    @cached_property
    def floors(self) -> Mapping[str, Floor]:
        for source in (self.data.train, self.data.validation):
            source.to(self.device)  # what has yet to be computed of it is computed there
        return self.task.floors(self.data)

    @cached_property
    def part(self) -> str:
        """The loss part that is judged: without a KL that is switched off in the first steps."""
        return "recon" if "recon" in self.net().parts(self.frozen) else "total"

    @property
    def best(self) -> float:
        """The least possible loss where the task states it."""
        known = [f for f in self.floors.values() if f.means == "best possible"]
        return known[0].value if known else 0.0

    def net(self, factor: float = 1.0) -> "Net":
        return Net(self, factor)

    def fed(self, count: int) -> Iterator[Batch]:
        """The first batches of the run, kept for the next short training; the same few, in turn,
        where they are large or slow to load."""
        for number in range(count):
            size = sum(t.nbytes for t in self._stream[0].values()) if self._stream else 1
            most = max(1, min(KEPT // size, SLOW if self.data.train.slow else count))
            if number % most >= len(self._stream):
                if self._feeder is None:
                    training = self.training
                    given = self.data.train, training.batch, training.seed, self.device
                    self._feeder = Feeder(*given, 0, training.workers)
                self._stream.append(next(self._feeder))
            yield self._stream[number % most]

    def close(self) -> None:
        if self._feeder is not None:
            self._feeder.close()

    @cached_property
    def step_s(self) -> float:
        """Seconds of an update with the run's own batch."""
        return self._timed(next(iter(self.fed(1))))

    @cached_property
    def small_s(self) -> float:
        """Seconds of an update with the frozen batch."""
        return self._timed(self.frozen)

    @property
    def short_s(self) -> float:
        """Seconds of an update of a short training: with the run's batch where that is quick."""
        return self.step_s if self.step_s <= QUICK_S else min(self.step_s, self.small_s)

    def shortened(self, batch: Batch) -> Batch:
        """As many of its samples as a short training can afford."""
        samples, few = len(batch["index"]), len(self.frozen["index"])
        if self.step_s <= QUICK_S or samples <= few:
            return batch
        return part_of(batch, slice(0, few), samples)

    def _timed(self, batch: Batch) -> float:
        net, times = self.net(), []
        for _ in range(3):
            began = time.perf_counter()
            net.step(batch)
            self.wait()
            times.append(time.perf_counter() - began)
            if times[0] > 1.0:
                break
        return min(times)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def fit(
        self, kind: str, factor: float, steps: int, *, fresh: bool = False, noisy: bool = False
    ) -> Fit:
        """Trains on the frozen batch, remembered.

        `fresh` loads its samples anew, as every epoch would. `noisy` draws the net's own noise
        anew at each step: numbers that stay tell the samples apart, even behind a zeroed input.
        """
        key = (kind, factor, steps, fresh, noisy)
        if key not in self._fits:
            self._fits[key] = self._fit(*key)
        return self._fits[key]

    def _fit(self, kind: str, factor: float, steps: int, fresh: bool, noisy: bool) -> Fit:
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
        return Fit(values[0], float(np.mean(tail)), judged, len(values), other)

    def reloaded(self, epoch: int) -> Batch:
        """The frozen batch's samples with the seeds of an epoch."""
        return load(self.data.train, self.frozen["index"].cpu().numpy(), epoch, self.device)

    @cached_property
    def sweep(self) -> Sweep:
        """A range test on the frozen batch."""
        net = self.net()

        def step(rate: float) -> float:
            net.rate(rate)
            return net.step(self.frozen, noise=0, at=0)["total"]

        return sweep(step, self.sweep_steps)

    def summed_rate(self) -> tuple[float, int]:
        """The learning rate summed over all updates of the run, and their number."""
        calendar, training = self.calendar, self.training
        updates = max(1, -(-calendar.budget // calendar.per_step))
        points = np.unique(np.linspace(0, updates - 1, 2000).astype(np.int64))
        rates = [
            learning_rate(
                training.schedule,
                training.optimizer.lr,
                calendar.place(int(p) * calendar.per_step),
            )
            for p in points
        ]
        return float(np.mean(rates)) * updates, int(updates)


class Net:
    """A fresh net and its optimizer, at the weights that the run starts from."""

    def __init__(self, trial: Trial, factor: float = 1.0) -> None:
        self.trial, task = trial, trial.task
        trial.streams.build()
        self.model: nn.Module = task.build().to(trial.device).train()
        spec = trial.training.optimizer
        self.optimizer = build_optimizer(spec, task.param_groups(self.model), trial.device)
        self.rate(spec.lr * factor)
        self.at = 0

    def rate(self, rate: float) -> None:
        set_rate(self.optimizer, rate)

    def _position(self, at: int | None) -> Position:
        trial = self.trial
        at = self.at if at is None else at
        seen = at * trial.calendar.per_step
        return Position(at, seen, seen // trial.calendar.samples, trial.training.seed)

    def parts(
        self, batch: Batch, noise: int = 0, kind: str = "true", at: int | None = None
    ) -> dict[str, Tensor]:
        """The loss with the random numbers of step `noise`, under one kind of input."""
        streams = self.trial.streams
        with inputs.corrupted(self.model, kind, noise):
            streams.step(noise)
            return self.trial.task.loss(self.model, batch, self._position(at))

    def step(
        self, batch: Batch, noise: int | None = None, kind: str = "true", at: int | None = None
    ) -> dict[str, float]:
        """One update; the loss before it."""
        self.trial.task.on_inputs(self.model, self._position(at))
        parts = self.parts(batch, self.at if noise is None else noise, kind, at)
        self.optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        clip_gradients(list(self.model.parameters()), self.trial.training.clip)
        self.optimizer.step()
        self.at += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def judge(self, batch: Batch, kind: str = "true") -> dict[str, float]:
        """The loss in eval mode, under validation's numbers."""
        self.model.eval()
        try:
            with inputs.corrupted(self.model, kind, CORRUPTED):
                self.trial.streams.validation()
                parts = self.trial.task.loss(self.model, batch, self._position(None))
        finally:
            self.model.train()
        return {name: float(value) for name, value in parts.items()}


def part_of(batch: Batch, part: slice, samples: int) -> Batch:
    """Some samples of a batch of `samples`."""
    return {k: v[part] if len(v) == samples else v for k, v in batch.items()}


def load(source: Source, indices: np.ndarray, epoch: int, device: torch.device) -> Batch:
    """Named samples with the seeds that an epoch gives them."""
    seeds = sample_seeds(0, epoch, indices)
    batch = {**source.gather(indices, seeds), "index": torch.from_numpy(indices)}
    return source.finish({k: v.to(device) for k, v in batch.items()}, seeds)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch's CPU threads, as before afterwards."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
