"""The stored values that become 0 and 1, where pictures have more than 8 bits a channel.

Declared, or the least and the greatest value of the whole training part: looked for over all of
its pictures, one at a time.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from famulus.config.errors import DataError
from famulus.images.cache import ByteCache
from famulus.images.parts import Part, stored_items
from famulus.images.picture import Recipe

LITTLE = 0.25  # share of a type's range below which the full scale is probably another one
_surveys = ByteCache(1 << 20)  # by digest


@dataclass(frozen=True)
class Survey:
    """Least and greatest value of a part's deep pictures; how many there are of each type."""

    low: float
    high: float
    types: dict[str, int]

    @property
    def span(self) -> tuple[float, float]:
        """What these values are out of: the range of their type, 0 to 1 for floats inside it."""
        kinds = [np.dtype(name) for name in self.types]
        if all(kind.kind in "iu" for kind in kinds):
            limits = [np.iinfo(kind) for kind in kinds]
            return float(min(i.min for i in limits)), float(max(i.max for i in limits))
        return (0.0, 1.0) if self.low >= 0 and self.high <= 1 else (self.low, self.high)


def survey(part: Part) -> Survey:
    """Raises DataError if no deep picture of `part` can be read."""
    known = _surveys.get(part.digest)
    if known is not None:
        return known
    low, high, types = np.inf, -np.inf, Counter[str]()
    for item in stored_items(part):
        if isinstance(item, str) or item.pixels.dtype == np.uint8:
            continue
        low = min(low, float(item.pixels.min()))
        high = max(high, float(item.pixels.max()))
        types[item.pixels.dtype.name] += 1
    if not types:
        raise DataError(f"{part.label}: expected at least 1 readable picture of more than 8 bits")
    result = Survey(low, high, dict(types))
    _surveys.put(part.digest, result, 1)
    return result


class RangeNote(str):
    """A warning that little of a type's range is in use. `likely`: the full scale it may be."""

    likely: tuple[float, float]


class GreyRange:
    """Of a set: `declared`, or measured over its training part; None where all is of 8 bits."""

    def __init__(self, train: Part, declared: tuple[float, float] | None) -> None:
        self.train, self.declared = train, declared

    @cached_property
    def used(self) -> tuple[float, float] | None:
        """Raises DataError for a training part of one single value."""
        if self.declared or not self.train.deep:
            return self.declared
        values = survey(self.train)
        if values.low == values.high:
            raise DataError(
                f"{self.train.label}: expected pictures that differ, received {values.low:g} in"
                " every pixel"
            )
        return values.span if self._as_they_are else (values.low, values.high)

    @property
    def _as_they_are(self) -> bool:
        """Floats in 0..1 are scaled already."""
        return survey(self.train).span == (0.0, 1.0)

    def over(self, part: Part, how: Recipe) -> Recipe:
        """`how` with the range in use. Raises DataError for deep pictures that have none."""
        if self.used is None and part.deep:
            raise DataError(
                f"{part.label}: pictures of more than 8 bits, of which {self.train.label} has none:"
                " name data.range: [low, high]"
            )
        return replace(how, range=self.used, of_bytes=not self.train.deep)

    @property
    def notes(self) -> list[str]:
        """Which range is in use and from where; a warning if it is little of what the type has."""
        if self.used is None:
            return []
        label, (low, high) = self.train.label, self.used
        scaled = f"{low:.7g} to {high:.7g} becomes 0 to 1"
        if self.declared:
            return [f"{label}: {scaled} (data.range, declared)"]
        values = survey(self.train)
        kinds = ", ".join(sorted(values.types))
        if self._as_they_are:
            first = f"{label}: {kinds} in 0 to 1 taken as it is ({values.low:g} to {values.high:g})"
        else:
            first = f"{label}: {kinds}: {scaled}, as measured over the training pictures"
        return [first, *_little(label, kinds, values)]


def _little(label: str, kinds: str, values: Survey) -> list[str]:
    """A line if less than a quarter of what the type can hold is in use."""
    bottom, top = values.span
    if values.high - values.low >= LITTLE * (top - bottom):
        return []
    # the full scale of a camera or scanner is a power of two
    full = 2 ** int(np.ceil(np.log2(values.high + 1))) - 1 if values.high > 0 else 0
    whole = top > 1
    fits = whole and values.low >= 0 and full < top
    low, high = (0, full) if fits else (values.low, values.high)
    share = (values.high - values.low) / (top - bottom)
    percent = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
    note = RangeNote(
        f"{label}: warning: {values.low:.7g} to {values.high:.7g} is {percent} of the range of"
        f" {kinds}: if the full scale is known, write data: {{range: [{low:.7g}, {high:.7g}]}}"
    )
    note.likely = low, high
    return [note]
