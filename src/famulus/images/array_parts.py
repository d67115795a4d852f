"""From the arrays of each split, pictures and labels, to the parts that train and validate."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.images.labels import positions
from famulus.images.layout import ALPHA, Layout, flat_note, held_type, layout_of, pictures
from famulus.images.role_split import by_name, role_split
from famulus.images.stored import Stored


@dataclass(frozen=True)
class Side:
    """A split: its pictures and their labels; `where_labels` is what messages call the latter."""

    images: Stored
    labels: np.ndarray | None = None
    where_labels: str = ""


@dataclass(frozen=True)
class StoredPart:
    """A split whose pictures lie in an array inside a file; they are read in blocks, each time.

    `rows`: which of the array's pictures belong to it, bool; None for all.
    """

    label: str
    digest: str
    names: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    images: Stored
    layout: Layout
    dtype: np.dtype
    rows: np.ndarray | None = None

    @property
    def deep(self) -> bool:
        """Whether its pictures have more than 8 bits a channel."""
        return self.dtype != np.uint8

    def items(self) -> Iterator[np.ndarray]:
        """HW or HWC of `dtype`. Raises DataError naming the array if it is damaged."""
        start = 0
        for block in pictures(self.images, self.layout, self.dtype):
            if self.rows is None:
                yield from block
            else:
                # A copy: the few that are kept would hold their whole block.
                yield from block[self.rows[start : start + len(block)]]
            start += len(block)


Parts = tuple[StoredPart, StoredPart, bool, list[str]]


def array_parts(
    path: Path,
    sides: Mapping[str, Side],
    classes: tuple[str, ...] | None,
    share: float | None,
    test: bool,
) -> Parts:
    """(train, validation, whether the split is the set's own, notes) of train, validation, test.

    Raises DataError, one line with the file and the array.
    """
    for side in sides.values():
        count = len(side.images)
        if side.labels is not None and (not side.labels.ndim or len(side.labels) != count):
            received = f"{len(side.labels)} labels" if side.labels.ndim else "a single value"
            raise DataError(f"{side.where_labels}: {count} images, but {received}")
    # Before anything is counted: of an array that is no pictures the count means nothing.
    layouts = {role: layout_of(side.images) for role, side in sides.items()}
    split = role_split(path, {r: len(s.images) for r, s in sides.items()}, share, test)
    used = {role: sides[role] for role in dict.fromkeys(("train", split.validation))}
    notes = [*split.notes, *(flat_note(s.images, layouts[r]) for r, s in used.items())]
    dtype, more = held_type([side.images for side in used.values()])
    notes += more
    notes += [
        _transparency(side.images, dtype)
        for role, side in used.items()
        if layouts[role].channels == ALPHA
    ]
    labels, names, more = _labels(path, used, classes)
    notes += more
    parts = []
    for role, origin in (("train", "train"), ("validation", split.validation)):
        rows = split.held_out
        if rows is not None and role == "train":
            rows = ~rows
        side, answers = used[origin], labels.get(origin)
        count = len(side.images) if rows is None else int(rows.sum())
        own = role if rows is not None else origin
        parts.append(
            StoredPart(
                f"{path.stem}/{role}",
                hashlib.sha256(f"{side.images.digest}/{own}/{count}".encode()).hexdigest(),
                [f"{own}/{i:05d}" for i in range(count)],
                answers if answers is None or rows is None else answers[rows],
                None if answers is None else names,
                side.images,
                layouts[origin],
                dtype,
                rows,
            )
        )
    return parts[0], parts[1], split.own, by_name(path, filter(None, notes))


def _transparency(images: Stored, dtype: np.dtype) -> str:
    if dtype != np.uint8:
        raise DataError(
            f"{images.where}: expected RGBA as bytes, received {images.dtype} {images.shape}: "
            "store RGB"
        )
    return f"{images.where}: RGBA laid on black"


def _labels(
    path: Path, used: Mapping[str, Side], classes: tuple[str, ...] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...], list[str]]:
    """As `positions`; nothing, with a note, where a part has no labels."""
    answers = {role: side.labels for role, side in used.items() if side.labels is not None}
    if len(answers) == len(used):
        where = {role: side.where_labels for role, side in used.items()}
        return positions(answers, classes, where)
    notes = [f"{path.stem}: labels of {role} alone are not used" for role in answers]
    return {}, (), notes
