"""Every random stream of a run follows from its seed and its position; none is carried along.

torch's own generators are seeded before each step from (seed, step): dropout and posterior noise
of step 1,000 are the same whether or not the process was killed at step 999. So a checkpoint
stores no generator state, and validating more often changes no training noise.
"""

import contextlib
from collections.abc import Iterator

import torch

from famulus.feed.streams import stream_seed

BUILD, STEP, VALIDATION, DRY_RUN = range(1, 5)  # separate streams of one seed


class Streams:
    """Seeds the generators of the CPU and of `device`. Use inside `isolated`."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._generators = [torch.default_generator]
        if device.type == "cuda":
            torch.cuda.init()  # the generators below exist only then
            self._generators.append(torch.cuda.default_generators[device.index or 0])

    def build(self) -> None:
        """For the initial weights."""
        self._set(stream_seed(self.seed, BUILD))

    def step(self, step: int) -> None:
        """For step number `step`: noise and dropout."""
        self._set(stream_seed(self.seed, STEP, step))

    def validation(self) -> None:
        """For scores and pictures: the same noise at every validation."""
        self._set(stream_seed(self.seed, VALIDATION))

    def dry_run(self) -> None:
        self._set(stream_seed(self.seed, DRY_RUN))

    def _set(self, seed: int) -> None:
        for generator in self._generators:
            generator.manual_seed(seed)

    @contextlib.contextmanager
    def isolated(self) -> Iterator[None]:
        """Leaves the caller's generators as they were."""
        # Named, or torch forks the generators of every GPU in the machine.
        devices = [self.device.index or 0] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            yield
