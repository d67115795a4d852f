"""Wall time of a run over all attempts, and how much of the stepping waited for data."""

import contextlib
import time
from collections.abc import Iterator

from famulus.feed.feeder import Feeder
from famulus.training.progress import Progress


class Clock:
    """Starts when it is made. Writes `seconds` into `progress`."""

    def __init__(self, progress: Progress, feeder: Feeder) -> None:
        self.progress, self.feeder = progress, feeder
        # of earlier attempts: a resumed curve goes on over the same axis
        self.before = progress.seconds
        # Monotonic: the wall clock may be set while a run trains.
        self.start = self.lap_start = time.perf_counter()
        self.lap_inputs, self.lap_waited, self.lap_aside = progress.inputs, feeder.waited_s, 0.0
        self.aside_depth, self.aside_start = 0, 0.0

    def now(self) -> float:
        return self.before + time.perf_counter() - self.start

    def lap(self) -> tuple[float, float]:
        """Inputs a second and share of waiting since the last lap, validation left out."""
        now = time.perf_counter()
        if self.aside_depth:  # what is aside now belongs to this lap up to here
            self.lap_aside += now - self.aside_start
            self.aside_start = now
        # two logs may fall into one tick
        stepping = max(1e-9, now - self.lap_start - self.lap_aside)
        rate = (self.progress.inputs - self.lap_inputs) / stepping
        wait = (self.feeder.waited_s - self.lap_waited) / stepping
        self.lap_start, self.lap_aside = now, 0.0
        self.lap_inputs, self.lap_waited = self.progress.inputs, self.feeder.waited_s
        self.progress.seconds = self.now()
        return rate, min(1.0, wait)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Time that is not stepping; one inside another is part of it, also if it fails."""
        if not self.aside_depth:
            self.aside_start = time.perf_counter()
        self.aside_depth += 1
        try:
            yield
        finally:
            self.aside_depth -= 1
            if not self.aside_depth:
                self.lap_aside += time.perf_counter() - self.aside_start
