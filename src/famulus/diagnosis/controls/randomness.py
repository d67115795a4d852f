"""Do samples follow from (seed, epoch, index) alone, and do their random numbers differ (K19)?"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from famulus.diagnosis.controls import Control
from famulus.diagnosis.controls.bench import Bench, Check
from famulus.diagnosis.controls.samples import load
from famulus.feed.feeder import Batch, Feeder
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds

NAME = "randomness"
SAMPLES = 8  # that are loaded again and again


@dataclass(frozen=True)
class Drawn:
    """What the same samples looked like, loaded again in several ways; True: bit for bit the same.

    `seed_again`: the same seeds twice. `copies`: two copies of the source, as two worker processes
    have them, under different seeds. `workers`: one stream through 0, 1 and 4 threads.
    `epochs`: two epochs. `within`: one sample four times in one batch, under four seeds.
    """

    seed_again: bool
    copies: bool
    workers: bool
    epochs: bool
    within: bool


def randomness(drawn: Drawn) -> Control:
    figures = dict(vars(drawn))
    remedy = "draw every number in gather or finish from the sample's own seed"
    if not drawn.seed_again and drawn.copies:
        text = "each copy of the source draws the same numbers: workers repeat each other"
        return Control(NAME, "failed", text, remedy, figures, "randomness-repeats")
    if not drawn.epochs and drawn.within:
        text = "all samples of a batch share their random numbers"
        return Control(NAME, "failed", text, remedy, figures, "randomness-repeats")
    if not drawn.seed_again:
        text = "the same sample with the same seed came out differently"
        return Control(NAME, "failed", text, remedy, figures, "not-resumable")
    if not drawn.workers:
        text = "batches depend on the number of loader threads"
        return Control(NAME, "failed", text, remedy, figures, "not-resumable")
    told = "nothing is drawn" if drawn.epochs else "other numbers in another epoch"
    text = f"same seed, same sample, with 0, 1 and 4 threads; {told}"
    return Control(NAME, "ok", text, figures=figures)


def drawn_by(bench: Bench) -> Drawn:
    """The first samples of training, loaded again in every way that `Drawn` asks for."""
    source, device = bench.data.train, bench.device
    index = np.arange(min(SAMPLES, len(source)), dtype=np.int64)
    one = np.repeat(index[:1], 4)
    twins = [_copy(source) for _ in range(2)]
    copied = _equal(load(twins[0], index, 0, device), load(twins[1], index, 1, device))
    first, again = (load(source, index, 0, device) for _ in range(2))
    other = load(source, index, 1, device)
    seeds = sample_seeds(0, 0, np.arange(4))
    four = source.finish({k: v.to(device) for k, v in source.gather(one, seeds).items()}, seeds)
    within = all(_same(v[0], v[i]) for v in four.values() for i in range(1, 4))
    return Drawn(_equal(first, again), copied, _threads(bench), _equal(first, other), within)


def _copy(source: Source) -> Source:
    try:
        return copy.deepcopy(source)
    except Exception:  # an open file or a lock: then there is but one
        return source


def _threads(bench: Bench) -> bool:
    streams = []
    for workers in (0, 1, 4):
        batch = min(bench.training.batch, SAMPLES)
        with Feeder(bench.data.train, batch, 0, bench.device, workers=workers) as feeder:
            streams.append([next(feeder) for _ in range(4)])
    return all(
        _equal(a, b) for other in streams[1:] for a, b in zip(streams[0], other, strict=True)
    )


def _equal(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a if k != "draw")


def _same(a: Tensor, b: Tensor) -> bool:
    """Bit for bit; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    if a.is_floating_point():
        a, b = torch.nan_to_num(a), torch.nan_to_num(b)
    return torch.equal(a, b)


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    yield randomness(drawn_by(bench))


CHECK = Check(NAME, run, wanted=lambda bench: 0.4)
