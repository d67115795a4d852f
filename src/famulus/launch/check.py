"""`famulus check FILE`: minutes before a night. What can be known of an experiment beforehand."""

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from famulus.config.errors import FamulusError
from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.loader import loader
from famulus.feed.feeder import Feeder
from famulus.launch.bench.entries import ENTRIES, Entry
from famulus.launch.bench.trial import Trial, threads
from famulus.launch.board import cost, duration
from famulus.launch.local import choose_device
from famulus.launch.plan import Ready
from famulus.tasks.base import Position
from famulus.training.preflight import rehearse
from famulus.training.randomness import Streams
from famulus.training.setup import Setup

BUDGET_S = 120.0
FETCHED, FEWEST = 20, 4  # batches timed
FAIR = 0.1  # of the time that is left, to whoever comes next

Watch = Callable[[str, float], None]  # what runs now, and seconds since the start


def check(
    cells: Sequence[Ready], budget_s: float = BUDGET_S, watch: Watch = lambda name, s: None
) -> Iterator[Control]:
    """Controls in order of their cost: data of every cell, the rest on the first one."""
    began = time.monotonic()
    yield Control("settings", "ok", f"{len(cells)} cells, each checked against the schema")
    watch("data", 0.0)
    yield from _data(cells)
    device, warning = choose_device(cells[0].training.device)
    yield Control("device", "warning" if warning else "ok", warning or f"training on {device}")
    spent = time.monotonic() - began
    rest = max(budget_s - spent, budget_s / 2)  # reading data must not be all that is done
    yield from controls(cells[0], rest, watch=watch, cells=len(cells))


def controls(
    cell: Ready,
    budget_s: float = BUDGET_S,
    only: Collection[str] = (),
    watch: Watch = lambda name, s: None,
    cells: int = 1,
) -> Iterator[Control]:
    """The controls of one cell, the cheapest first; those that find no time come as skipped.

    `only`: names of `bench.entries.names()`, or forecast and loader speed; all if empty. Nothing
    is stored, and torch's random streams and threads are left as they were.
    """
    device, _ = choose_device(cell.training.device)
    began = time.monotonic()
    unknown = set(only) - {e.name for e in _ALL}
    if unknown:
        raise ValueError(f"expected controls among {[e.name for e in _ALL]}, received {unknown}")
    with Streams(cell.training.seed, device).isolated(), threads(cell.training.threads):
        trial = Trial(cell, device)
        trial.cells = cells
        try:
            left = sorted(
                (e for e in _ALL if not only or e.name in only), key=lambda e: e.wanted(trial)
            )
            while left:
                entry = left.pop(0)
                rest = budget_s - (time.monotonic() - began)
                least = entry.least(trial)
                if least > rest or rest <= 0:
                    yield _not_run(entry, entry.wanted(trial), rest)
                    continue
                spare = rest - least - sum(e.least(trial) for e in left)
                given = least + max(0.0, spare) / max(1, len(left)) if left else rest
                watch(entry.name, time.monotonic() - began)
                yield from entry.run(trial, min(entry.wanted(trial), max(given, FAIR * rest)))
        finally:
            trial.close()


def _not_run(entry: Entry, wanted: float, rest: float) -> Control:
    text = f"not run: takes about {duration(wanted)}, {duration(rest)} of the budget are left"
    return Control(entry.name, "skipped", text, "a larger --budget, in seconds")


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


def _forecast(trial: Trial, limit_s: float) -> Iterator[Control]:
    cell = trial.cell
    ahead = rehearse(Setup(cell.task, cell.data, cell.training, trial.device))
    memory = {} if ahead.memory_bytes is None else {"memory_bytes": ahead.memory_bytes}
    yield Control(
        "forecast",
        "ok",
        f"about {cost(ahead)} for {cell.slug} in fp32; {trial.cells} cells",
        figures={"seconds": ahead.seconds, "bytes": ahead.bytes, **memory},
    )


def _loader(trial: Trial, limit_s: float) -> Iterator[Control]:
    training, device = trial.training, trial.device
    trial.streams.build()
    model = trial.task.build().to(device).train()
    batch = trial.batch(trial.data.train, training.batch)
    position = Position(0, 0, 0, training.seed)

    count = int(min(FETCHED, max(FEWEST, limit_s / 2 / trial.step_s)))

    def fetch_s() -> float:
        workers = training.workers
        feeder = Feeder(trial.data.train, training.batch, training.seed, device, workers=workers)
        try:
            return _median(lambda: next(feeder), trial, count)
        finally:
            feeder.close()

    def step_s() -> float:
        return _median(
            lambda: trial.task.loss(model, batch, position)["total"].backward(), trial, count
        )

    yield loader(fetch_s, step_s, training.batch)


def _median(work: Callable[[], object], trial: Trial, count: int) -> float:
    times = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        trial.wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times[min(2, count - 1) :])


_ALL = (
    *ENTRIES,
    Entry("forecast", lambda t: 10 * t.step_s, _forecast, lambda t: 10 * t.step_s),
    Entry(
        "loader speed",
        lambda t: 2 * FETCHED * t.step_s,
        _loader,
        lambda t: 2 * FEWEST * t.step_s,
    ),
)
