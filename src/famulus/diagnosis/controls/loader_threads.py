"""How fast is the loader alone, with 0, 1, 2 and 4 threads?"""

import time
from collections.abc import Iterator

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.feed.feeder import Feeder

NAME = "loader threads"
FETCHED = 12  # batches timed for each number of threads


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    speeds: dict[int, float] = {}  # inputs a second
    batch, start = bench.training.batch, time.monotonic()
    for count in (0, 1, 2, 4):
        if time.monotonic() - start > limit_s:
            break
        with Feeder(bench.data.train, batch, 1, bench.device, workers=count) as feeder:
            next(feeder)  # threads are started outside of the time
            began = time.perf_counter()
            for _ in range(FETCHED):
                next(feeder)
            bench.wait()
            speeds[count] = FETCHED * batch / (time.perf_counter() - began)
        if not bench.data.train.slow:
            break  # threads are not used for what lies in memory
    shown = ", ".join(f"{count}: {speed:,.0f}/s" for count, speed in speeds.items())
    best = max(speeds, key=lambda count: speeds[count])
    figures = {"speeds": {str(k): v for k, v in speeds.items()}, "best": best}
    yield Control(NAME, "ok", f"{shown}; best {best}", figures=figures)


CHECK = Check(NAME, run, wanted=lambda bench: 3.0)
