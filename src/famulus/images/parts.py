"""One split of a set before and after decoding.

A `Part` knows its digest, its sample names and labels without decoding anything; `decoded` turns it
into one array. What a part decodes to is kept between the cells of a process, bounded.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.source import OfForm
from famulus.images.cache import ByteCache
from famulus.images.decoding import Picture, finite
from famulus.images.picture import Recipe, render
from famulus.images.value_notes import Seen

LISTED = 20  # files named one by one for one reason
SIZES = 5  # stored sizes that a note names
Item = Picture | np.ndarray | str  # pixels HW or HWC, or the reason why there are none
_pictures = ByteCache(384 << 20)  # by digest: a list of Picture or str, before any resize
_rendered = ByteCache(1 << 30)  # by (digest, recipe): Decoded


class Part(Protocol):
    """`label`: what messages call it; `digest`: hex hash of its raw bytes."""

    @property
    def label(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def classes(self) -> tuple[str, ...] | None: ...

    @property
    def deep(self) -> bool:
        """Whether any picture has more than 8 bits a channel."""
        ...

    def items(self) -> Iterator[Item]: ...


@dataclass(frozen=True)
class ArrayPart:
    """Pictures that are an array already; `load` gives numbers BHW or BHWC."""

    label: str
    digest: str
    names: Sequence[str]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    load: Callable[[], np.ndarray]

    @cached_property
    def deep(self) -> bool:
        return self.load().dtype != np.uint8

    def items(self) -> Iterator[Item]:
        return iter(self.load())


@dataclass(frozen=True)
class Decoded:
    """`images` BCHW, uint8 or float32 in 0..1; `kept` which of the part's samples they are; `boxes`
    (top, left, height, width) of each picture inside its frame, int64 B4; `notes` what was left
    out and why, and what was changed."""

    images: np.ndarray
    kept: np.ndarray
    boxes: np.ndarray
    resized: bool
    notes: list[str] = field(default_factory=list)


def decoded(part: Part, how: Recipe) -> Decoded:
    """All readable pictures of `part` in the form `how`.

    Raises DataError if none can be read, or if they differ in shape and no size is named.
    """
    key = (part.digest, how)
    result = _rendered.get(key)
    if result is None:
        result = _decode(part, how)
        _rendered.put(key, result, result.images.nbytes)
    return result


def stored_items(part: Part) -> Iterator[Picture | str]:
    """Every picture of `part` as it is stored, decoded at most once where they can be kept."""
    known = _pictures.get(part.digest)
    if known is not None:
        yield from known
        return
    remembered: list[Picture | str] | None = []
    size = 0
    for item in part.items():
        picture = _as_picture(item)
        if remembered is not None:
            remembered.append(picture)
            size += len(picture) if isinstance(picture, str) else picture.pixels.nbytes
            # Too many to keep; a part of them would be taken for all.
            if size > _pictures.limit:
                remembered = None
        yield picture
    if remembered is not None:
        _pictures.put(part.digest, remembered, size)


def _as_picture(item: Item) -> Picture | str:
    if not isinstance(item, np.ndarray):
        return item
    try:
        return Picture(finite(item))
    except DataError as error:
        return str(error)


def _decode(part: Part, how: Recipe) -> Decoded:
    images = np.empty(0, np.uint8)
    kept: list[int] = []
    boxes, stored, seen = [], Counter[tuple[int, int]](), Seen(part.label, how)
    left_out: dict[str, list[str]] = {}
    for index, item in enumerate(stored_items(part)):
        if isinstance(item, str):
            left_out.setdefault(item, []).append(part.names[index])
            continue
        pixels, box, changed = render(item.pixels, how)
        if not kept:
            # Only the first readable picture tells the shape.
            images = np.empty((len(part.names), *pixels.shape), pixels.dtype)
        elif pixels.shape != images.shape[1:]:
            raise DataError(
                f"{part.label}: pictures of different shape: {part.names[kept[0]]} has "
                f"{images.shape[1:]}, {part.names[index]} {pixels.shape}: name data.size and "
                "data.channels"
            )
        images[len(kept)] = pixels
        kept.append(index)
        boxes.append(box)
        seen.add(part.names[index], item)
        if changed:
            stored[item.pixels.shape[:2]] += 1
    notes = left_out_notes(part.label, left_out)
    if not kept:
        reason = f": {notes[0]}" if notes else ""
        raise DataError(f"{part.label}: expected at least 1 readable picture, received 0{reason}")
    notes += seen.notes()
    notes += resized_notes(part.label, stored, len(kept), how.filter)
    images = images[: len(kept)]
    return Decoded(images, np.array(kept), np.array(boxes, np.int64), bool(stored), notes)


def originals(part: Part, positions: np.ndarray) -> list[np.ndarray | str]:
    """The pictures at these positions as they are stored; what was decoded is not decoded again."""
    wanted = set(map(int, positions))
    last = max(wanted, default=-1)
    items: dict[int, np.ndarray | str] = {}
    for index, item in enumerate(stored_items(part) if wanted else ()):
        if index in wanted:
            items[index] = item if isinstance(item, str) else item.pixels
        if index >= last:
            break
    return [items[int(i)] for i in positions]


def left_out_notes(label: str, left_out: dict[str, list[str]]) -> list[str]:
    """One line a file; one for all of them where more than `LISTED` share a reason."""
    notes = []
    for reason, names in left_out.items():
        if len(names) > LISTED:
            shown = ", ".join(names[:3])
            notes.append(f"{label}: left out {len(names)} files: {reason} (as {shown})")
        else:
            notes.extend(f"{label}: left out {name}: {reason}" for name in names)
    return notes


def resized_notes(
    label: str, stored: Counter[tuple[int, int]], count: int, filter: str
) -> list[str]:
    """One line: how many of `count` pictures were interpolated, and their (height, width) as
    stored, the most frequent first. Nothing where none was."""
    if not stored:
        return []
    rows = sorted(stored.items(), key=lambda row: (-row[1], row[0]))
    sizes = [f"{wide}x{high} ({n:,})" for (high, wide), n in rows[:SIZES]]
    more = f" and {len(rows) - SIZES} other sizes" if len(rows) > SIZES else ""
    shown = ", ".join(sizes)
    resized = f"{stored.total():,} of {count:,} resized, {filter}"
    return [OfForm(f"{label}: {resized}; stored as width x height {shown}{more}")]
