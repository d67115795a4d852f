"""Batches on the device: forever for training, once and in order for validation.

A source that lives in memory is gathered where it is asked: that takes microseconds. A source with
`slow = True` (files to decode, heavy augmentation) is gathered by threads, a bounded number of
batches ahead. What a batch holds depends on its position alone, never on the number of threads.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, islice
from typing import Self

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import FamulusError
from famulus.feed.order import Order
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds

MOST_THREADS = 8  # that `None` chooses; one core is left to the training
Batch = dict[str, Tensor]
_VALIDATION_SEED = 0x56414C  # validation draws the same numbers in every run and every pass


def _gather(source: Source, device: torch.device, indices: np.ndarray, seeds: np.ndarray) -> Batch:
    """Raw tensors and `index`; pinned when they have yet to travel to a CUDA device."""
    try:
        batch = source.gather(indices, seeds)
    # says already what to do
    except FamulusError:
        raise
    except Exception as error:
        # a note keeps the error's own type and trace
        error.add_note(f"while reading the samples {indices[:8].tolist()} (first of the batch)")
        raise
    batch = {**batch, "index": torch.from_numpy(indices)}
    if device.type == "cuda":
        # only from pinned memory does a copy run beside the kernels
        batch = {k: v.pin_memory() if v.device.type == "cpu" else v for k, v in batch.items()}
    return batch


def _finish(source: Source, device: torch.device, seeds: np.ndarray, batch: Batch) -> Batch:
    batch = {k: v.to(device, non_blocking=True) for k, v in batch.items()}
    return source.finish(batch, seeds)


def _load(source: Source, device: torch.device, picks: tuple[np.ndarray, np.ndarray]) -> Batch:
    return _finish(source, device, picks[1], _gather(source, device, *picks))


def _ahead(calls: Iterator[Callable[[], Batch]], workers: int) -> Iterator[Batch]:
    """Results of `calls` in their order, at most 2 `workers` of them begun and not yet taken."""
    # threads, not processes: decoders let go of the interpreter, and nothing is pickled or forked
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feeder")
    try:
        pending = deque(pool.submit(call) for call in islice(calls, 2 * workers))
        while pending:
            result = pending.popleft().result()
            # Before the batch is handed out: threads work while it is used.
            pending.extend(pool.submit(call) for call in islice(calls, 1))
            yield result
    finally:
        # no thread outlives its feeder: it would read files that the caller may close
        pool.shutdown(wait=True, cancel_futures=True)


def threads_for(workers: int | None) -> int:
    """The number asked for; None is chosen by the cores that this process may use."""
    if workers is not None:
        return workers
    usable = getattr(os, "sched_getaffinity", None)
    # a container or a scheduler may give fewer than the machine has
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    return max(1, min(MOST_THREADS, cores - 1))


def _batches(
    source: Source,
    device: torch.device,
    picks: Iterator[tuple[np.ndarray, np.ndarray]],
    workers: int | None,
) -> Generator[Batch, None, None]:
    workers = threads_for(workers)
    if workers == 0 or not source.slow:
        yield from (_load(source, device, pick) for pick in picks)
    elif device.type == "cpu":
        yield from _ahead((partial(_load, source, device, pick) for pick in picks), workers)
    else:  # copies and kernels stay on the consumer's stream
        taken: deque[np.ndarray] = deque()

        def calls() -> Iterator[Callable[[], Batch]]:
            for indices, seeds in picks:
                # in the order of the calls, which is that of their results
                taken.append(seeds)
                yield partial(_gather, source, device, indices, seeds)

        for batch in _ahead(calls(), workers):
            yield _finish(source, device, taken.popleft(), batch)


class Feeder:
    """Training batches forever, from the position `start_inputs` on.

    Each is a dict of tensors on `device`, `batch` samples, with `index` int64 among them.
    `inputs` is the position behind the batch handed out last; `waited_s` the seconds spent in here.
    An error of a thread is raised by the `next` that would have returned its batch.
    """

    def __init__(
        self,
        source: Source,
        batch: int,
        seed: int,
        device: torch.device | str,
        start_inputs: int = 0,
        workers: int | None = None,
    ) -> None:
        if batch < 1 or start_inputs < 0 or (workers or 0) < 0:
            raise ValueError(
                "expected batch >= 1, start_inputs >= 0 and workers >= 0 or None, "
                f"received {batch=}, {start_inputs=}, {workers=}"
            )
        device = torch.device(device)
        self.source = source.to(device)
        self.batch, self.inputs, self.waited_s = batch, start_inputs, 0.0
        order = self.source.order(seed) or Order(seed, len(self.source))
        picks = (order.batch(start, batch) for start in count(start_inputs, batch))
        self._stream = _batches(self.source, device, picks, workers)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        began = time.perf_counter()
        result = next(self._stream)
        self.inputs += self.batch
        self.waited_s += time.perf_counter() - began
        return result

    def close(self) -> None:
        """End the threads; a batch asked for afterwards raises StopIteration."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def validation_seeds(indices: np.ndarray) -> np.ndarray:
    """The seeds that samples have in every validation."""
    return sample_seeds(_VALIDATION_SEED, 0, indices)


def validation_batches(
    source: Source, batch: int, device: torch.device | str, workers: int | None = None
) -> Iterator[Batch]:
    """Every sample once, in order, the last batch short; the seeds are those of every other pass.

    A source that is copied to a device should be given as its own `source.to(device)`, once.
    """
    device = torch.device(device)
    source = source.to(device)
    everything = np.arange(len(source), dtype=np.int64)
    seeds = validation_seeds(everything)
    starts = range(0, len(source), batch)
    # Copies: torch shares their memory, and whoever gets a batch may write into it.
    picks = ((everything[i : i + batch].copy(), seeds[i : i + batch]) for i in starts)
    yield from _batches(source, device, picks, workers)


def fixed_batch(source: Source, indices: np.ndarray, device: torch.device | str) -> Batch:
    """The named samples with the seeds of validation: for pictures, rehearsals and controls."""
    device = torch.device(device)
    indices = np.asarray(indices, np.int64)
    return _load(source.to(device), device, (indices, validation_seeds(indices)))
