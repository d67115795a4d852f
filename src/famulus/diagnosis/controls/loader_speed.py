"""Is the net fed as fast as it learns (K21)? The same steps, fed live and from a cached batch."""

import statistics
import time
from collections.abc import Callable, Iterator

from famulus.diagnosis.controls.bench import Bench, Check, Control, updates
from famulus.diagnosis.remedy import NOBODY, Owner, Step, advise, loader_threads
from famulus.feed.feeder import Feeder

NAME = "loader speed"
LIMIT = 0.25  # share of a step spent waiting
FETCHED, FEWEST = 20, 4  # batches timed


def loader_speed(fetch_s: float, step_s: float, batch: int, owner: Owner = NOBODY) -> Control:
    """Seconds of one batch from the feeder, and of one step on a cached one."""
    share = fetch_s / (fetch_s + step_s)
    figures = {"fetch_s": fetch_s, "step_s": step_s, "wait_share": share}
    text = (
        f"loader {batch / fetch_s:,.0f} samples/s, training step {batch / step_s:,.0f} samples/s:"
        f" {share:.1%} of the time would be waiting"
    )
    if share < LIMIT:
        return Control(NAME, "ok", text, figures=figures)
    convert = Step(command="famulus data convert, once", words="a dataset that is read from memory")
    remedy = advise(owner, loader_threads(owner), convert)
    return Control(NAME, "warning", text, remedy.text, figures, "loader-bound", remedy.changes)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    training, net, batch = bench.training, bench.net(), next(iter(bench.fed(1)))
    count = int(min(FETCHED, max(FEWEST, limit_s / 2 / bench.step_s)))
    stream = bench.data.train, training.batch, training.seed, bench.device
    with Feeder(*stream, workers=training.workers) as feeder:
        fetch_s = _median(lambda: next(feeder), bench, count)
    step_s = _median(lambda: net.parts(batch)["total"].backward(), bench, count)
    yield loader_speed(fetch_s, step_s, training.batch, bench.owner)


def _median(work: Callable[[], object], bench: Bench, count: int) -> float:
    """Seconds of the work, of `count` times; the first ones warm up."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        bench.wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times[min(2, count - 1) :])


CHECK = Check(NAME, run, wanted=updates(2 * FETCHED), least=updates(2 * FEWEST))
