"""Do samples follow from (seed, epoch, index) alone, and do their random numbers differ (K19)?"""

import copy
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from famulus.diagnosis.controls.bench import Bench, Check, Control
from famulus.diagnosis.controls.samples import load
from famulus.feed.feeder import Batch, Feeder
from famulus.feed.source import Source
from famulus.feed.streams import sample_seeds

NAME = "randomness"
SAMPLES = 8  # that are loaded again and again


def run(bench: Bench, limit_s: float) -> Iterator[Control]:
    same = comparisons(bench)
    remedy = "draw every number in gather or finish from the sample's own seed"
    text, cause = "", "randomness-repeats"
    if not same["seed_again"] and same["copies"]:
        text = "each copy of the source draws the same numbers: workers repeat each other"
    elif not same["epochs"] and same["within"]:
        text = "all samples of a batch share their random numbers"
    elif not same["seed_again"]:
        text, cause = "the same sample with the same seed came out differently", "not-resumable"
    elif not same["workers"]:
        text, cause = "batches depend on the number of loader threads", "not-resumable"
    if text:
        yield Control(NAME, "failed", text, remedy, same, cause)
    else:
        numbers = "nothing is drawn" if same["epochs"] else "other numbers in another epoch"
        text = f"same seed, same sample, with 0, 1 and 4 threads; {numbers}"
        yield Control(NAME, "ok", text, figures=same)


def comparisons(bench: Bench) -> dict[str, bool]:
    """Are the first samples of training bit for bit the same, loaded again in several ways?

    `seed_again`: the same seeds twice. `copies`: two copies of the source, as two worker processes
    have them, under different seeds. `workers`: one stream through 0, 1 and 4 threads.
    `epochs`: two epochs. `within`: one sample four times in one batch, under four seeds.
    """
    source, device = bench.data.train, bench.device
    index = np.arange(min(SAMPLES, len(source)), dtype=np.int64)
    # before anything is loaded: a generator of the source must stand where a worker would find it
    twins = [_copy(source) for _ in range(2)]
    copies = _equal(load(twins[0], index, 0, device), load(twins[1], index, 1, device))
    first, again = (load(source, index, 0, device) for _ in range(2))
    other = load(source, index, 1, device)
    seeds = sample_seeds(0, 0, np.arange(4))
    four = source.gather(np.repeat(index[:1], 4), seeds)
    four = source.finish({k: v.to(device) for k, v in four.items()}, seeds)
    return {
        "seed_again": _equal(first, again),
        "copies": copies,
        "workers": _threads(bench),
        "epochs": _equal(first, other),
        "within": all(_same(v[0], v[i]) for v in four.values() for i in range(1, 4)),
    }


def _copy(source: Source) -> Source:
    try:
        return copy.deepcopy(source)
    except Exception:  # an open file or a lock: then there is but one
        return source


def _threads(bench: Bench) -> bool:
    streams = []
    # 4: more threads than one, so that batches may overtake each other
    for workers in (0, 1, 4):
        batch = min(bench.training.batch, SAMPLES)
        with Feeder(bench.data.train, batch, 0, bench.device, workers=workers) as feeder:
            streams.append([next(feeder) for _ in range(4)])
    return all(all(map(_equal, streams[0], other)) for other in streams[1:])


def _equal(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a if k != "draw")


def _same(a: Tensor, b: Tensor) -> bool:
    """Number for number; NaN equals NaN, and nothing else."""
    if a.shape != b.shape:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())


CHECK = Check(NAME, run, wanted=lambda bench: 0.4)
