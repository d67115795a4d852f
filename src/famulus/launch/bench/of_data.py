"""Samples for the controls of data: loaded in several ways, within a limit of time."""

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from famulus.diagnosis.controls.duplicates import Copies, copies
from famulus.diagnosis.controls.randomness import Drawn
from famulus.feed.feeder import Feeder, validation_seeds
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds
from famulus.launch.bench.trial import Trial, load
from famulus.tasks.base import Batch

FEW, MANY = 256, 8192  # samples of a split for statistics, and for copies
AT_ONCE = 64
BYTES = 512 << 20
NUMBERS = 4096  # of a sample that statistics look at
LOOKED = 8  # samples that are loaded again and again


def some(source: Source, count: int, limit_s: float, train: bool = False) -> Batch:
    """Samples spread over a split, on the CPU; fewer where they are slow to load or large.

    `train`: with the seeds of an epoch; else those of validation. What is drawn from a seed must
    not look like a copy.
    """
    chosen = np.unique(np.linspace(0, len(source) - 1, min(count, len(source))).astype(np.int64))
    chosen = np.random.default_rng(0).permutation(chosen)  # fewer are still spread
    parts: list[Batch] = []
    began, held = time.monotonic(), 0
    step = 4 if source.slow else AT_ONCE
    for start in range(0, len(chosen), step):
        index = chosen[start : start + step]
        seeds = sample_seeds(0, 0, index) if train else validation_seeds(index)
        batch = source.finish(source.gather(index, seeds), seeds)
        parts.append({k: v.cpu() for k, v in batch.items()} | {"index": torch.from_numpy(index)})
        held += sum(v.nbytes for v in parts[-1].values())
        if time.monotonic() - began > limit_s or held > BYTES:
            break
    return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}


def columns(batch: Batch) -> dict[str, np.ndarray]:
    """What statistics are taken of: numbers of each sample; labels apart, indices not at all.

    A `weight` of the same shape weighs the tensors beside it, as it does in the loss.
    """
    weight = batch.get("weight")
    found = {}
    for name, value in batch.items():
        if value.dtype == torch.int64 and value.ndim < 3:
            continue  # classes, positions, seeds
        v = value.abs() if value.is_complex() else value
        v = v.double() if v.dtype == torch.bool else v
        if name == "weight":
            continue
        if weight is not None and weight.shape == v.shape and _counts(weight):
            v = (v * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1e-9)
        rows = v.reshape(len(v), -1)
        stride = max(1, rows.shape[1] // NUMBERS)
        found[name] = rows[:, ::stride].numpy()
    return found


def _counts(weight: Tensor) -> bool:
    return bool((weight > 0).any())


def class_counts(trial: Trial) -> tuple[tuple, tuple[np.ndarray, np.ndarray]] | None:
    """Class lists and labels' counts of both parts, or None where a sample has none."""
    sources = trial.data.train, trial.data.validation
    labels = [s.labels for s in sources]
    if "target" in trial.frozen:  # something else is learned
        return None
    if any(v is None or np.ndim(v) != 1 for v in labels):
        return None
    classes = tuple(s.classes for s in sources)
    counts = tuple(np.bincount(v[v >= 0]) for v in labels)
    if any(c.sum() == 0 for c in counts):
        return None
    return classes, counts


def confusion(trial: Trial, limit_s: float) -> np.ndarray | None:
    """Validation labels (rows) against the class of training with the nearest mean (columns).

    Samples that lie farther from every mean than training's do are of no class: they do not count.
    """
    train, held = (
        some(source, 2 * FEW, limit_s / 2) for source in (trial.data.train, trial.data.validation)
    )
    pictures = [n for n, v in train.items() if v.is_floating_point() and v.ndim > 2]
    if "label" not in train or train["label"].ndim != 1 or not pictures:
        return None
    name = max(pictures, key=lambda n: train[n][0].numel())
    x, y = (columns({name: part[name]})[name].astype(np.float64) for part in (train, held))
    own, other = train["label"].numpy(), held["label"].numpy()
    count = int(max(own.max(), other.max())) + 1
    far, near = (np.full((len(v), count), np.inf) for v in (y, x))
    for label in np.unique(own[own >= 0]):
        mean = x[own == label].mean(0)
        far[:, label], near[:, label] = (((v - mean) ** 2).sum(1) for v in (y, x))
    table = np.zeros((count, count))
    known = (other >= 0) & (far.min(1) <= near.min(1).max())
    if known.sum() < (other >= 0).sum() / 2:
        return None
    np.add.at(table, (other[known], far.argmin(1)[known]), 1)
    return table


def found_copies(trial: Trial, limit_s: float) -> Copies | None:
    """Of the tensor with most numbers; None where a sample is no picture and no volume."""
    validation = some(trial.data.validation, MANY, limit_s / 3)
    name = max(validation, key=lambda n: validation[n][0].numel())
    if validation[name].ndim < 3 or validation[name].is_complex():
        return None
    train = some(trial.data.train, MANY, limit_s / 3, train=True)
    found = copies(train[name], validation[name])
    if found.example is None:
        return found
    t, v = found.example
    return replace(found, example=(int(train["index"][t]), int(validation["index"][v])))


def drawn(trial: Trial) -> Drawn:
    """The first samples of training, loaded again in every way that `Drawn` asks for."""
    source, device = trial.data.train, trial.device
    index = np.arange(min(LOOKED, len(source)), dtype=np.int64)
    one = np.repeat(index[:1], 4)
    twins = [_copy(source) for _ in range(2)]
    copied = _equal(load(twins[0], index, 0, device), load(twins[1], index, 1, device))
    first, again = (load(source, index, 0, device) for _ in range(2))
    other = load(source, index, 1, device)
    seeds = sample_seeds(0, 0, np.arange(4))
    four = source.finish({k: v.to(device) for k, v in source.gather(one, seeds).items()}, seeds)
    within = all(_same(v[0], v[i]) for v in four.values() for i in range(1, 4))
    epochs = _equal(first, other)
    return Drawn(_equal(first, again), copied, _threads(trial), epochs, within)


def _copy(source: Source) -> Any:
    try:
        return copy.deepcopy(source)
    except Exception:  # an open file or a lock: then there is but one
        return source


def _threads(trial: Trial) -> bool:
    streams = []
    for workers in (0, 1, 4):
        batch = min(trial.training.batch, LOOKED)
        with Feeder(trial.data.train, batch, 0, trial.device, workers=workers) as feeder:
            streams.append([next(feeder) for _ in range(4)])
    return all(
        _equal(a, b) for other in streams[1:] for a, b in zip(streams[0], other, strict=True)
    )


def _equal(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a if k != "draw")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b) or _nan_equal(a, b))


def _nan_equal(a: Tensor, b: Tensor) -> bool:
    if not a.is_floating_point():
        return False
    return bool(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)))
