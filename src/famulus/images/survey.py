"""What was seen of a set of pictures, as values and in words.

Shapes: H W height and width, C channels.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from famulus.config.yaml import inline, short
from famulus.feed.source import Leak
from famulus.images.decoding import Ground

LARGE = 128  # pixels; larger pictures are proposed at PROPOSED
PROPOSED = 64
LISTED = 5  # sizes that are named
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Survey:
    """What was seen. `train`, `validation`: readable pictures, or files where none was opened."""

    name: str
    train: int
    validation: int
    own_split: bool
    train_classes: dict[str, int]  # pictures of each class; {} without classes
    validation_classes: dict[str, int]
    sizes: Counter[Size]  # as stored
    files: int  # in both parts, readable or not
    decoded: int  # pictures whose pixels were looked at
    dtypes: Counter[str]
    colour: int  # pictures of which a pixel is not grey
    low: float
    high: float
    repeats: int  # training pictures that an earlier one is like, exactly or nearly
    copies: int  # validation pictures that are in training, exactly or nearly
    complete: bool  # whether both were looked for among all pictures
    rows: dict[str, list[np.ndarray]]  # tiles of the contact sheet, by class
    notes: list[str]
    shape: tuple[int, ...] | None = None  # C H W of a sample; None: pictures differ, name a size
    fingerprint: str | None = None  # None: too many files to read them all here
    resized: bool | None = None
    unclear: str = ""  # why there are no classes, where one would expect some
    background: Ground = "black"  # what transparent pictures were laid on here
    vanished: tuple[int, int] = (0, 0)  # pictures of which nothing is to be seen on black, on it
    range: tuple[float, float] | None = None  # full scale that is likely; None: as measured

    # -- what follows ------------------------------------------------------------------------

    @property
    def classes(self) -> dict[str, tuple[int, int]]:
        """(training, validation) pictures of each class."""
        names = dict.fromkeys([*self.train_classes, *self.validation_classes])
        both = self.train_classes, self.validation_classes
        return {n: (both[0].get(n, 0), both[1].get(n, 0)) for n in names}

    @property
    def leaks(self) -> list[str]:
        """Notes that say that validation scores flatter."""
        return [note for note in self.notes if isinstance(note, Leak)]

    @property
    def alike(self) -> bool:
        """Whether every picture has one size."""
        return len(self.sizes) == 1

    @property
    def usual(self) -> Size:
        """The most frequent size."""
        return _ordered(self.sizes)[0][0] if self.sizes else (PROPOSED, PROPOSED)

    @property
    def side(self) -> int:
        """Longer side of the picture in the middle, by its longer side."""
        sides = sorted(max(size) for size in self.sizes.elements())
        return sides[len(sides) // 2] if sides else PROPOSED

    @property
    def channels(self) -> int:
        return 3 if self.colour else 1

    @property
    def differ(self) -> bool:
        """Whether pictures are so far from square that stretching them would change what they
        show: more than one in ten by more than a tenth."""
        far = sum(n for (h, w), n in self.sizes.items() if max(h, w) > 1.1 * min(h, w))
        return far > 0.1 * self.sizes.total()

    @property
    def settings(self) -> dict[str, Any]:
        """Of a section `data` that reads the set."""
        high, wide = self.usual
        small = self.alike and max(high, wide) <= LARGE
        size = {} if small and high != wide else {"size": high if small else PROPOSED}
        return self.at(**size)

    def at(self, **size: int) -> dict[str, Any]:
        """Of a section `data` that reads the set at this `size`."""
        scale = {"range": [short(n) for n in self.range]} if self.range else {}
        ground = {} if self.background == "black" else {"background": self.background}
        return {"name": self.name, **size, "channels": self.channels, **scale, **ground}

    @property
    def usage(self) -> str:
        return f"data: {inline(self.settings)}"

    # -- in words ----------------------------------------------------------------------------

    @property
    def counts(self) -> str:
        how = "the set's own split" if self.own_split else "by a hash of the names"
        classes = f" in {_counted(len(self.classes), 'class', 'classes')}" if self.classes else ""
        return f"{self.train:,} training and {self.validation:,} validation, {how}{classes}"

    @property
    def measures(self) -> str:
        """The most frequent sizes, the least and the largest, as width x height."""
        if not self.sizes:
            return "none could be read"
        looked = self.sizes.total()
        of = self._of(looked)
        if self.alike:
            return f"all {_by(self.usual)}{of}"
        rows = _ordered(self.sizes)
        named = ", ".join(f"{_by(size)} ({n:,})" for size, n in rows[:LISTED])
        rest = f" and {len(rows) - LISTED:,} other sizes" if len(rows) > LISTED else ""
        area = sorted(self.sizes, key=lambda size: (size[0] * size[1], size))
        return f"{named}{rest}; from {_by(area[0])} to {_by(area[-1])}{of}"

    @property
    def values(self) -> str:
        if not self.decoded:
            return "none could be read"
        kinds = ", ".join(
            kind if len(self.dtypes) == 1 else f"{kind} ({n:,})"
            for kind, n in self.dtypes.most_common()
        )
        grey = self.decoded - self.colour
        colours = "grey" if not self.colour else "colour" if not grey else "colour and grey"
        if self.colour and grey:
            colours += f" ({grey:,} grey)"
        return f"{self.low:g} to {self.high:g}, {kinds}, {colours}{self._of(self.decoded)}"

    def _of(self, looked: int) -> str:
        return "" if looked == self.files else f" ({looked:,} of {self.files:,} looked at)"

    @property
    def doubles(self) -> str:
        """Near-duplicates: within training, and across the split."""
        among = "" if self.complete else f"; among the {self.decoded:,} looked at"
        return (
            f"{self.repeats:,} within training, {self.copies:,} of validation in training; exactly"
            f" or nearly{among}"
        )

    def facts(self) -> list[tuple[str, str]]:
        """What is shown of every set, in order; of one that is not laid on black, why."""
        rows = [
            ("pictures", self.counts),
            ("sizes", self.measures),
            ("values", self.values),
            ("near-duplicates", self.doubles),
        ]
        if self.background != "black":
            black, here = (f"{n:,}" for n in self.vanished)
            why = f"pictures of which nothing is to be seen: {black} on black, {here} here"
            rows.append(("background", f"{self.background}; {why}"))
        return rows

    def lines(self) -> list[str]:
        """`facts` as text."""
        return [f"{key}: {value}" for key, value in self.facts()]

    def small_side(self, least: int, most: int = 48) -> int:
        """A side for tasks on small pictures: as stored where that is square and small, else 32."""
        high, wide = self.usual
        return high if self.alike and high == wide and least <= high <= most else 32

    @property
    def stored(self) -> list[tuple[str, int]]:
        """(width x height, how many), the most frequent first."""
        return [(_by(size), n) for size, n in _ordered(self.sizes)]

    def json(self) -> dict[str, Any]:
        """For machines: the keys of `catalog.info`, and what else was seen."""
        row: dict[str, Any] = {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "shape": self.shape,
            "train": self.train,
            "validation": self.validation,
            "resized": self.resized,
        }
        for role in ("train", "validation"):
            if counts := getattr(self, f"{role}_classes"):
                row[f"{role}_classes"] = counts
        ordered = _ordered(self.sizes)
        return row | {
            "own_split": self.own_split,
            "files": self.files,
            "sizes": [{"width": w, "height": h, "count": n} for (h, w), n in ordered],
            "decoded": self.decoded,
            "dtypes": dict(self.dtypes),
            "range": [self.low, self.high],
            "colour": self.colour,
            "near_duplicates": {
                "training": self.repeats,
                "validation": self.copies,
                "complete": self.complete,
            },
            "use": self.usage,
            "notes": self.notes,
        }


def _ordered(sizes: Counter[Size]) -> list[tuple[Size, int]]:
    return sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0]))


def _by(size: Size) -> str:
    return f"{size[1]}x{size[0]}"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
