"""Samples for the controls: loaded within a limit of time, spread over a split, or by index."""

import time

import numpy as np
import torch

from famulus.feed.feeder import Batch, fixed_batch, validation_seeds
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds

FEW = 256  # samples of a split for statistics
AT_ONCE = 64
BYTES = 512 << 20
NUMBERS = 4096  # of a sample that statistics look at


def evenly(source: Source, count: int) -> np.ndarray:
    """Indices spread over a split, as every validation has them: at most `count`, sorted."""
    count = min(count, len(source))
    return np.unique(np.linspace(0, len(source) - 1, count).astype(np.int64))


def spread(source: Source, count: int, device: torch.device) -> Batch:
    """At most `count` samples, evenly over a split, with validation's seeds."""
    return fixed_batch(source, evenly(source, count), device)


def load(source: Source, indices: np.ndarray, epoch: int, device: torch.device) -> Batch:
    """Named samples with the seeds that an epoch gives them."""
    seeds = sample_seeds(0, epoch, indices)
    batch = {**source.gather(indices, seeds), "index": torch.from_numpy(indices)}
    return source.finish({k: v.to(device) for k, v in batch.items()}, seeds)


def part_of(batch: Batch, part: slice) -> Batch:
    """Some samples of a batch; what has not one entry a sample stays whole."""
    samples = len(batch["index"])
    return {k: v[part] if len(v) == samples else v for k, v in batch.items()}


def some(source: Source, count: int, limit_s: float, train: bool = False) -> Batch:
    """Samples spread over a split, on the CPU; fewer where they are slow to load or large.

    `train`: with the seeds of an epoch; else those of validation. What is drawn from a seed must
    not look like a copy.
    """
    chosen = np.random.default_rng(0).permutation(evenly(source, count))  # fewer are still spread
    parts: list[Batch] = []
    began, size = time.monotonic(), 0
    # Few at once where that is slow, so that the limit is looked at in time.
    step = 4 if source.slow else AT_ONCE
    for start in range(0, len(chosen), step):
        index = chosen[start : start + step]
        seeds = sample_seeds(0, 0, index) if train else validation_seeds(index)
        batch = source.finish(source.gather(index, seeds), seeds)
        parts.append({k: v.cpu() for k, v in batch.items()} | {"index": torch.from_numpy(index)})
        size += sum(v.nbytes for v in parts[-1].values())
        if time.monotonic() - began > limit_s or size > BYTES:
            break
    return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}


def columns(batch: Batch) -> dict[str, np.ndarray]:
    """What statistics are taken of: numbers of each sample; labels apart, indices not at all.

    A `weight` of the same shape weighs the tensors beside it, as it does in the loss.
    """
    weight = batch.get("weight")
    table = {}
    for name, value in batch.items():
        if value.dtype == torch.int64 and value.ndim < 3:
            continue  # classes, positions, seeds
        if name == "weight":
            continue
        v = value.abs() if value.is_complex() else value
        v = v.double() if v.dtype == torch.bool else v
        if weight is not None and weight.shape == v.shape and bool((weight > 0).any()):
            v = (v * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1e-9)
        rows = v.reshape(len(v), -1)
        stride = max(1, rows.shape[1] // NUMBERS)
        table[name] = rows[:, ::stride].numpy()
    return table
