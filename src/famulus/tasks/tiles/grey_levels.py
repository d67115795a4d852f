"""What a whole split looks like: its pictures in chunks, counts of grey levels, histograms.

Shapes: B batch, C channels, L = 256 levels, P everything of one sample, N bins.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.feed.source import Source, Splits
from famulus.tasks.tiles import constant_baseline as constant
from famulus.tasks.tiles.histogram import HistogramLoss

CHUNK = 1024
ENOUGH = 4096  # samples that settle a median histogram


def pictures(source: Source, indices: np.ndarray) -> Tensor:
    """float32 BCYX in 0..1, on the CPU."""
    seeds = np.zeros(len(indices), np.uint64)
    return source.finish(source.gather(indices, seeds), seeds)["image"].cpu()


def chunks(source: Source, most: int | None = None) -> Iterator[Tensor]:
    """All pictures, or the first `most`. Raises DataError if there is none."""
    count = min(len(source), most or len(source))
    if not count:
        raise DataError("expected at least one image, received none")
    for start in range(0, count, CHUNK):
        yield pictures(source, np.arange(start, min(start + CHUNK, count)))


def level_counts(source: Source) -> tuple[Tensor, float]:
    """Level counts LP of all pictures, and their mean error against each one's own median."""
    total, median = None, 0.0
    for image in chunks(source):
        counts = constant.level_counts(image)
        total = counts if total is None else total + counts
        median += float(constant.own_median_error(image).sum())
    return total, median / len(source)


def median_histogram(source: Source, histogram: Callable[[Tensor], Tensor]) -> Tensor:
    """The middle of each bin over the split (of its first thousands, if larger): 1CN."""
    # a median needs all values at once, unlike a mean
    histograms = torch.cat([histogram(image) for image in chunks(source, ENOUGH)])
    return histograms.median(0, keepdim=True).values


def mean_over(source: Source, error: Callable[[Tensor], Tensor]) -> float:
    """Mean of `error`(BCYX) -> B over the whole split."""
    total = sum(float(error(image).double().sum()) for image in chunks(source))
    return total / len(source)


def histogram_floors(data: Splits, loss: HistogramLoss, blank: float) -> tuple[float, float]:
    """What a blank picture scores, and the histogram that is nearest to all, of no real picture."""
    best_1CN = median_histogram(data.train, loss.histogram)

    def start(image: Tensor) -> Tensor:
        return loss.per_sample(torch.full_like(image, blank), image)

    def best(image: Tensor) -> Tensor:
        return loss.distance(best_1CN, loss.histogram(image))

    return mean_over(data.validation, start), mean_over(data.validation, best)
