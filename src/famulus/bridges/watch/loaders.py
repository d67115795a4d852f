"""Where a script's batches come from: whose data they are, and how long they were waited for."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import RandomSampler, SequentialSampler


@dataclass(slots=True)
class Fetched:
    """A batch of a DataLoader. data, walk: numbers of the data and of the iteration over them."""

    data: int
    walk: int
    batch: Any
    seconds: float


class Loaders:
    """The DataLoaders of a script, told apart by their data."""

    def __init__(self) -> None:
        # (number of the data, number of the walk) by iterator; a script may let go of all of them
        self._walks: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()
        self._data: dict[int, Callable[[], Any]] = {}
        self._count = 0
        self._fetched: Fetched | None = None  # the last batch, for no model yet

    def walked(self, loader: Any, walk: Any) -> None:
        """Iteration begins. Loaders of the same data are one, but for those that choose some of
        it: a split may be made by samplers."""
        self._count += 1
        sampler = getattr(loader, "sampler", None)
        chooses = not isinstance(sampler, RandomSampler | SequentialSampler | None)
        data = sampler if chooses else getattr(walk, "_dataset", walk)
        known = next((n for n, one in self._data.items() if one() is data), None)
        if known is None:
            known = self._count
            self._data[known] = _reference(data)
        self._walks[walk] = known, self._count

    def fetched(self, walk: Any, batch: Any, seconds: float) -> None:
        if walk not in self._walks:  # of a library's own loader
            self.walked(None, walk)
        before = self._fetched.seconds if self._fetched else 0.0
        self._fetched = Fetched(*self._walks[walk], batch, before + seconds)

    def take(self) -> Fetched | None:
        """The last batch, for the model that is called now."""
        fetched, self._fetched = self._fetched, None
        return fetched

    def forget(self) -> None:
        self._fetched = None


def _reference(thing: Any) -> Callable[[], Any]:
    """Weak where that can be: a script's data are its own."""
    try:
        return weakref.ref(thing)
    except TypeError:  # a list
        return lambda: thing
