"""A smaller training set: a count, a share, or the samples of named classes."""

from typing import Any

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.feed.streams import permutation, stream_seed

_SUBSET = 0x535542  # apart from the streams of orders


def choose(
    n: int,
    subset: Any,
    seed: int,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] | None = None,
    field: str = "data.subset",
) -> np.ndarray:
    """Sorted int64 indices into n samples. A smaller count or share lies inside a larger one.

    Raises ConfigError if `subset` is none of the three forms or names an unknown class, DataError
    if there are fewer samples than asked for.
    """
    if subset is None:
        return np.arange(n, dtype=np.int64)
    if isinstance(subset, list | tuple) and subset:
        return _of_classes(subset, labels, classes, field)
    if isinstance(subset, int) and not isinstance(subset, bool) and subset > 0:
        if subset > n:
            raise DataError(f"{field}: expected at most {n} (the samples there are), got {subset}")
        count = subset
    elif isinstance(subset, float) and 0 < subset < 1:
        count = max(1, round(subset * n))
    else:
        raise ConfigError(
            f"{field}: expected a count, a share between 0 and 1, or class names, "
            f"received {subset!r}"
        )
    # the beginning of one order, so that sizes lie inside each other
    return np.sort(permutation(stream_seed(_SUBSET, seed), 0, n)[:count])


def _of_classes(
    wanted: list | tuple, labels: np.ndarray | None, classes: tuple[str, ...] | None, field: str
) -> np.ndarray:
    if labels is None or classes is None:
        raise ConfigError(f"{field}: expected a count or a share (no classes here), got {wanted!r}")
    names = [str(name) for name in wanted]
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise ConfigError(f"{field}: expected classes of {', '.join(classes)}; got {unknown[0]!r}")
    ids = [classes.index(name) for name in names]
    chosen = np.flatnonzero(np.isin(labels, ids))
    if not len(chosen):
        raise DataError(f"{field}: no sample of {', '.join(names)}")
    return chosen.astype(np.int64)
