"""`famulus check FILE`: minutes before a night. What can be known of an experiment beforehand."""

import statistics
import time
from collections.abc import Iterator, Sequence

import torch

from famulus.config.errors import FamulusError
from famulus.data.feeder import Feeder
from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.loader import loader
from famulus.diagnosis.controls.overfit import overfit
from famulus.launch.board import duration
from famulus.launch.local import choose_device
from famulus.launch.plan import Ready
from famulus.tasks.base import Position
from famulus.training.optim import build_optimizer, set_rate
from famulus.training.precision import Precision
from famulus.training.preflight import first_batch, rehearse
from famulus.training.randomness import Streams

OVERFITTED = 16  # samples of the frozen batch
FETCHED = 20  # batches timed


def check(cells: Sequence[Ready]) -> Iterator[Control]:
    """Controls in order of their cost: data of every cell, the rest on the first one."""
    yield Control("settings", "ok", f"{len(cells)} cells, each checked against the schema")
    yield from _data(cells)
    first = cells[0]
    device, warning = choose_device(first.training.device)
    yield Control("device", "warning" if warning else "ok", warning or f"training on {device}")
    for floor in first.task.floors(first.data).values():
        text = f"{floor.means}: {floor.score} = {floor.value:.5g}"
        yield Control("floor", "ok", text, figures={floor.score: floor.value})
    plain = Precision("fp32")
    cost = rehearse(first.task, first.data, first.training, device, plain)
    yield Control(
        "forecast",
        "ok",
        f"about {duration(cost.seconds)} and {cost.bytes / 1e6:,.0f} MB for {first.slug}"
        f" in fp32; {len(cells)} cells",
        figures={"seconds": cost.seconds, "bytes": cost.bytes},
    )
    with Streams(first.training.seed, device).isolated():
        yield _overfit(first, device)
        yield _loader(first, device)


def _data(cells: Sequence[Ready]) -> Iterator[Control]:
    seen = set()
    for cell in cells:
        if cell.data.fingerprint in seen:
            continue
        seen.add(cell.data.fingerprint)
        try:
            text = (
                f"{cell.slug}: {len(cell.data.train):,} training and"
                f" {len(cell.data.validation):,} validation samples"
            )
        except FamulusError as error:
            yield Control("data", "failed", f"{cell.slug}: {error}")
            continue
        yield Control("data", "ok", text)
        for note in cell.data.notes:
            yield Control("data", "warning", f"{cell.slug}: {note}")


def _overfit(cell: Ready, device: torch.device) -> Control:
    streams = Streams(cell.training.seed, device)
    streams.build()
    model = cell.task.build().to(device).train()
    optimizer = build_optimizer(cell.training.optimizer, cell.task.param_groups(model), device)
    set_rate(optimizer, cell.training.optimizer.lr)
    batch = first_batch(cell.data.train, min(OVERFITTED, len(cell.data.train)), device)
    position = Position(0, 0, 0, cell.training.seed)

    def step() -> dict[str, float]:
        streams.step(0)  # the same noise each time: the targets are frozen
        parts = cell.task.loss(model, batch, position)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
        return {name: float(value.detach()) for name, value in parts.items()}

    known = [f for f in cell.task.floors(cell.data).values() if f.means == "best possible"]
    parts = cell.task.loss(model, batch, position)
    part = "recon" if "recon" in parts else "total"
    return overfit(step, part, known[0].value if known else 0.0)


def _loader(cell: Ready, device: torch.device) -> Control:
    training = cell.training
    model = cell.task.build().to(device).train()
    batch = first_batch(cell.data.train, training.batch, device)
    position = Position(0, 0, 0, training.seed)

    def fetch_s() -> float:
        workers = training.workers
        feeder = Feeder(cell.data.train, training.batch, training.seed, device, workers=workers)
        try:
            return _median(lambda: next(feeder), device)
        finally:
            feeder.close()

    def step_s() -> float:
        return _median(lambda: cell.task.loss(model, batch, position)["total"].backward(), device)

    return loader(fetch_s, step_s, training.batch)


def _median(work, device: torch.device) -> float:
    times = []
    for _ in range(FETCHED):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])
