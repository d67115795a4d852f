"""Interleaved timing: A B A B ..., so that a machine that drifts, drifts for both."""

import time
from collections.abc import Callable

import numpy as np


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(
    a: Callable[[], object], b: Callable[[], object], blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of `a` and `b`, one entry a block; which goes first alternates."""
    times = np.empty((2, blocks))
    for block in range(blocks):
        for which in (0, 1) if block % 2 == 0 else (1, 0):
            times[which, block] = seconds((a, b)[which])
    return times[0], times[1]


def ratio(times_a: np.ndarray, times_b: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """Median of a/b over blocks, and the upper end of its 95 % bootstrap interval."""
    pairs = times_a / times_b
    random = np.random.default_rng(0)
    medians = np.median(random.choice(pairs, size=(draws, pairs.size)), axis=1)
    return float(np.median(pairs)), float(np.quantile(medians, 0.975))
