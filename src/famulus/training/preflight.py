"""What is learned before the first step: that every callback runs, what the run will cost.

All of it on copies: the real model, its random streams and the position are untouched.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from famulus.config.errors import ConfigError, DataError
from famulus.config.nearest import suggestion
from famulus.config.schema import Every, Training
from famulus.feed.feeder import fixed_batch
from famulus.feed.source import Source
from famulus.tasks.base import Batch, Position
from famulus.training import precision as arithmetic
from famulus.training.memory import Peak
from famulus.training.optim import build_optimizer, optimizer_class
from famulus.training.pictures import png
from famulus.training.precision import Precision
from famulus.training.progress import Calendar
from famulus.training.randomness import Streams
from famulus.training.setup import PICTURED, Setup

TIMED = 3  # steps, after one that warms up


@dataclass(frozen=True)
class CostForecast:
    """Before the first step, from a few steps on a copy."""

    seconds: float  # training, validation and pictures
    bytes: int  # on the disk: the most that checkpoints and pictures take at once
    checkpoint_bytes: int
    memory_bytes: int | None = None  # the most at once; see training/memory.py
    step_s: float = 0.0  # of `seconds`, those of one update


def choose_precision(setup: Setup) -> Precision:
    """The configured precision; `auto` is measured on this task's net and batch."""
    with Streams(setup.training.seed, setup.device).isolated():
        model, batch, step = _rehearsal(setup)
        return arithmetic.choose(setup.training.precision, model, batch, step, setup.device)


def choose_threads(setup: Setup, most: int) -> int:
    """1 or `most` CPU threads, whichever trains this net faster: small ones lose by sharing.

    Measured by interleaved forward and backward passes. The caller sets what it gets.
    """
    setup = replace(setup, device=torch.device("cpu"))
    plain = Precision("fp32")
    times: dict[int, list[float]] = {1: [], most: []}
    before = torch.get_num_threads()
    try:
        with Streams(setup.training.seed, setup.device).isolated():
            model, batch, step = _rehearsal(setup)
            for _ in range(1 + TIMED):
                for count, taken in times.items():
                    torch.set_num_threads(count)
                    step(model, batch, plain)  # the first one of a count wakes its threads
                    start = time.perf_counter()
                    step(model, batch, plain)
                    taken.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    # Without the first round, which fills caches and picks kernels.
    return min(times, key=lambda count: statistics.median(times[count][1:]))


def _rehearsal(
    setup: Setup,
) -> tuple[nn.Module, Batch, Callable[[nn.Module, Batch, Precision], None]]:
    """A fresh net, a batch, and a step that computes gradients and throws them away."""
    task, training, device = setup.task, setup.training, setup.device
    Streams(training.seed, device).build()
    model = task.build().to(device).train()
    batch = setup.first_batch(setup.data.train.to(device), training.batch)

    def step(twin: nn.Module, placed: Batch, candidate: Precision) -> None:
        with candidate.autocast(device):
            total = task.loss(twin, placed, Position(0, 0, 0, training.seed))["total"]
        total.backward()
        twin.zero_grad(set_to_none=True)

    return model, batch, step


def rehearse(setup: Setup) -> CostForecast:
    """Runs a few steps, a short validation and the pictures on a copy, and forecasts the cost.

    Raises ConfigError for an unknown score or a loss without `total`, DataError for too few
    samples. Other errors of a task surface here, before any time is spent.
    """
    task, data, training = setup.task, setup.data, setup.training
    # the stream would fill a batch with the same sample twice
    if len(data.train) < training.batch:
        raise DataError(
            f"data: {len(data.train)} training samples are fewer than"
            f" training.batch = {training.batch}; lower the batch or take a larger subset"
        )
    if len(data.validation) == 0:
        raise DataError("data: the validation split is empty")
    streams = Streams(training.seed, setup.device)
    with streams.isolated(), Peak(setup.device) as peak:
        streams.build()
        model = setup.precision.place_model(task.build().to(setup.device)).train()
        streams.dry_run()
        step_s = _timed_steps(setup, model)
        model.eval()
        with torch.no_grad():
            # first of all: what a source does once, decoding or encoding, is no validation's cost
            fixed = setup.precision.place_batch(setup.first_batch(data.validation, PICTURED))
            scores, whole_s = _timed_validation(setup, model)
            start = time.perf_counter()
            pictures = [png(p) for p in task.pictures(model, fixed).values()]
            pictures_s = time.perf_counter() - start
    # now: a run of hours must not find at its first validation that a score has another name
    check_scores(training, [f"val/{name}" for name in scores])
    calendar = Calendar(training, len(data.train))
    steps = calendar.budget / calendar.per_step
    validations = _times(calendar, training.validate_every)
    checkpoint = _checkpoint_bytes(model, training)
    kept = training.keep.last + (training.keep.best is not None) + 1  # one is being written
    kept += _times(calendar, training.keep.milestones) if training.keep.milestones else 0
    drawn = _times(calendar, training.pictures_every)
    picture_bytes = sum(map(len, pictures)) * drawn
    return CostForecast(
        seconds=steps * step_s + validations * whole_s + drawn * pictures_s,
        bytes=int(kept * checkpoint + picture_bytes + 200 * steps),  # 200: an event a step at worst
        checkpoint_bytes=checkpoint,
        memory_bytes=peak.bytes,
        step_s=step_s,
    )


def check_scores(training: Training, names: list[str]) -> None:
    """Raises ConfigError if early stopping, plateau or `keep.best` watch a score that is not."""
    watched = {"training.keep.best": training.keep.best}
    if training.stop:
        watched["training.stop.score"] = training.stop.score
    if training.schedule.name == "plateau":
        watched["training.schedule.score"] = training.schedule.score
    for where, name in watched.items():
        if name is not None and name not in names:
            raise ConfigError(
                f"{where}: no score is named {name!r}; {suggestion(name, names)};"
                f" this task has {', '.join(sorted(names))}",
                cause="unknown-score",
            )


def _timed_steps(setup: Setup, model: nn.Module) -> float:
    """Median seconds of an optimizer step on a cached batch."""
    task, training, device = setup.task, setup.training, setup.device
    optimizer = build_optimizer(training.optimizer, task.param_groups(model), device)
    batch = setup.precision.place_batch(setup.first_batch(setup.data.train, training.batch))
    times = []
    for step in range(1 + TIMED):
        start = time.perf_counter()
        for _ in range(training.accumulate):
            with setup.precision.autocast(device):
                parts = task.loss(model, batch, Position(step, 0, 0, training.seed))
            if "total" not in parts:
                raise ConfigError(f"the task's loss has no part `total`, only {', '.join(parts)}")
            parts["total"].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # or only launches are timed
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _timed_validation(setup: Setup, model: nn.Module) -> tuple[Mapping[str, float], float]:
    """(scores of a few samples, seconds of a whole validation).

    What scores cost once, however many samples there are, is told from what each batch costs by
    timing one batch as well as two: a bank of neighbours may take longer than all batches.
    """
    source, at_once = setup.data.validation, setup.validated_at_once
    seconds = []
    scores: Mapping[str, float] = {}
    for batches in (2, 1)[: 2 if len(source) > 2 * at_once else 1]:
        start = time.perf_counter()
        values = setup.task.scores(model, _few(setup, source, batches))
        seconds.append(time.perf_counter() - start)
        scores = scores or values
    if len(seconds) == 1:
        return scores, seconds[0]
    two_s, one_s = seconds
    # no more than if nothing were paid once: the shorter time may be the one that was disturbed
    each_s = min(max(0.0, two_s - one_s), two_s / 2)
    return scores, two_s + each_s * (len(source) / at_once - 2)


def _few(setup: Setup, source: Source, batches: int) -> Iterator[Batch]:
    """At most so many validation batches."""
    at_once = setup.validated_at_once
    count = min(len(source), batches * at_once)
    for indices in np.array_split(np.arange(count), -(-count // at_once)):
        yield setup.precision.place_batch(fixed_batch(source, indices, setup.device))


def _times(calendar: Calendar, every: Every | None) -> int:
    """How often something is due in the whole run; once more at the end."""
    if every is None:
        return 1
    period = every.in_inputs(calendar.per_step, calendar.samples)
    return int(calendar.budget / period) + 1


def _checkpoint_bytes(model: nn.Module, training: Training) -> int:
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    kind = optimizer_class(training.optimizer.name).__name__
    copies = {"SGD": 1, "Adagrad": 1, "RMSprop": 2}.get(kind, 2)  # state tensors a parameter
    return weights * (2 if training.ema else 1) + copies * trained
