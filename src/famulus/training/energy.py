"""Energy of a run, over all attempts, from a counter of the device that trains.

The counter is the whole device's: other processes on it count as well, and the rest of the machine
does not. Where there is no counter there is no meter, and a meter that breaks never ends a run: its
energy is not known from then on. Nothing here waits for the device or depends on a step.

Units: joules (J), watts (W).
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

from famulus.training import nvml, rapl

LAP_S = 1.0  # at least, between two readings for the screen: counters move every 20 to 100 ms


class EnergyCounter(Protocol):
    """An energy counter."""

    @property
    def of(self) -> str:
        """What it measures: "GPU", "CPU package"."""

    @property
    def every_s(self) -> float | None:
        """It must be read as often as that; None: no need to."""

    def joules(self) -> float:
        """Since it was opened. Any error means that the energy is not known any more."""

    def close(self) -> None:
        """Gives back what it holds."""


def open_counter(device: torch.device) -> EnergyCounter | None:
    """The counter of `device`, if this machine lets us read one."""
    if device.type == "cuda":
        return nvml.open_device(device)
    return rapl.open_packages() if device.type == "cpu" else None


@contextlib.contextmanager
def metering(device: torch.device) -> Iterator["Meter | None"]:
    """A meter for `device`, or None."""
    source = open_counter(device)
    if source is None:
        yield None
        return
    with Meter(source) as meter:
        yield meter


class Meter:
    """Adds what `source` counts to what earlier attempts of a run have taken."""

    def __init__(self, source: EnergyCounter, now: Callable[[], float] = time.monotonic) -> None:
        self.source, self.now = source, now
        self.lost = ""  # what broke it
        self.zero = self.newest = 0.0  # readings
        self.before: dict[str, Any] | None = None
        self.partial = False  # an earlier attempt was not measured
        self.lap_at = self.lap_joules = 0.0
        self.lap_watts: float | None = None
        self._lock, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *error: object) -> None:
        # Before the counter is closed, so that the reading thread asks it no more.
        self._over.set()
        with self._lock, contextlib.suppress(Exception):
            self.source.close()

    def start(self, before: dict[str, Any] | None, seconds: float) -> None:
        """Counts from here on; `before`: `total()` of an attempt that had come to `seconds`."""
        # With a beginning that nobody measured, no figure is better than one that is too small.
        self.before, self.partial = before, before is None and seconds > 0
        self.zero = self.lap_joules = self.read()
        self.lap_at = self.now()
        if self.source.every_s is not None:
            # never in an exit's way
            threading.Thread(target=self._keep_reading, name="energy", daemon=True).start()

    def read(self) -> float:
        """The counter now. What it raises, and a step backwards, is kept as `lost`."""
        with self._lock:
            if self.lost or self._over.is_set():
                return self.newest
            try:
                joules = float(self.source.joules())
                # a step backwards is a counter that began anew: what it lost can't be known
                if not (math.isfinite(joules) and joules >= self.newest):
                    raise ValueError(f"expected at least {self.newest:g} J, received {joules:g}")
                self.newest = joules
            except Exception as error:  # a driver's library may raise anything
                self.lost = f"{type(error).__name__}: {error}"
            return self.newest

    def total(self) -> dict[str, Any] | None:
        """{"joules": of all attempts, "of": what was measured}, read now; None: not known."""
        joules = self.read() - self.zero
        if self.lost or self.partial:
            return None
        if self.before is None:
            return {"joules": joules, "of": self.source.of}
        # A resumed run may stand on another device: both are named.
        devices = dict.fromkeys([*self.before["of"].split(" and "), self.source.of])
        return {"joules": self.before["joules"] + joules, "of": " and ".join(devices)}

    def watts(self) -> float | None:
        """Mean since the last call that was at least `LAP_S` ago; between such calls the same."""
        elapsed = self.now() - self.lap_at
        if not self.lost and elapsed >= LAP_S:
            joules = self.read()
            self.lap_watts = (joules - self.lap_joules) / elapsed
            # by what was measured: reading the counter takes time of its own
            self.lap_at += elapsed
            self.lap_joules = joules
        return None if self.lost else self.lap_watts

    def _keep_reading(self) -> None:
        while not self.lost and not self._over.wait(self.source.every_s):
            self.read()
