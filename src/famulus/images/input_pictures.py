"""Pictures that a person hands over, each with a name of its own: one file, a folder, a zip, or a
set that holds them otherwise (arrays, tables)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np

from famulus.config.errors import DataError, Unread
from famulus.feed.progress import note
from famulus.images import datasets as sets
from famulus.images.decoding import Picture, decode
from famulus.images.files import Folder, Zip, read
from famulus.images.ground import on_ground
from famulus.images.parts import Item, Part
from famulus.images.picture import Box, Recipe, render

NAMED = 20  # files that could not be read


def loose_pictures(path: Path, how: Recipe) -> Iterator[tuple[str, np.ndarray | DataError]]:
    """(relative name, CHW in the form `how`, or why it can't be read), in order of names.

    As the training set is held: uint8, or float32 in 0..1 (`unit.as_unit` takes both).
    A name never leads outside the folder it is joined to. In what pictures differ from those that
    the model takes is said on stderr, once for all.
    Raises DataError if there is nothing to read.
    """
    for name, placed in placed_pictures(path, how):
        yield name, placed if isinstance(placed, DataError) else placed[0]


def placed_pictures(
    path: Path, how: Recipe
) -> Iterator[tuple[str, tuple[np.ndarray, Box] | DataError]]:
    """As `loose_pictures`, with the place of each picture inside its frame."""
    unlike = _Unlike(how)
    for name, pixels_of in _readers(path, how):
        # results are written under these names
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield name, DataError("its name leads outside the archive")
            continue
        try:
            stored = pixels_of()
            pixels, box, _ = render(stored, how)
        # given, not raised: one broken picture must not stop the others
        except DataError as error:
            yield name, error
        else:
            unlike.look(name, stored)
            # A copy: Pillow's arrays can't be written to, and torch warns of such.
            yield name, (np.array(pixels, order="C"), box)
    unlike.tell()


class _Unlike:
    """Counts pictures that are changed before the model sees them."""

    def __init__(self, model: Recipe) -> None:
        self.model = model
        self.count = 0
        self.first: dict[str, tuple[str, int]] = {}  # what is done: an example, how many

    def look(self, name: str, pixels: np.ndarray) -> None:
        """`pixels`: HW or HWC as they are in the file."""
        self.count += 1
        (tall, wide), size = pixels.shape[:2], self.model.size
        if size is not None and (tall, wide) != size:
            what = f"resized to {size[0]} x {size[1]} ({self.model.fit})"
            self._add(what, f"{name} is {tall} x {wide}")
        if self.model.channels == 1 and pixels.ndim == 3:
            self._add("made grey: the model takes one channel", f"{name} has colours")
        if self.model.channels == 3 and pixels.ndim == 2:
            self._add("given three equal channels: the model takes colours", f"{name} is grey")

    def _add(self, what: str, example: str) -> None:
        before, many = self.first.get(what, (example, 0))
        self.first[what] = before, many + 1

    def tell(self) -> None:
        for what, (example, many) in self.first.items():
            note(f"{many} of {self.count} pictures {what}: {example}")


def refuse_unread(unread: Sequence[str], done: int) -> None:
    """Raises Unread naming what could not be read, DataError where nothing else was `done`.

    At the end: one broken file must not cost the results of all others.
    """
    if unread:
        more = f", and {len(unread) - NAMED} more" if len(unread) > NAMED else ""
        others = "".join(f"; then: {one}" for one in unread[1:NAMED])
        kind = Unread if done else DataError
        raise kind(f"apply: {len(unread)} pictures not read, the first: {unread[0]}{others}{more}")


def png_names(path: Path) -> dict[str, str]:
    """Relative PNG for what is made of each of `loose_pictures`, no two the same.

    `a.jpg` becomes `a.png`; where `a.png` or `a.gif` lies beside it, each keeps its own suffix as
    well (`a.jpg.png`).
    """
    names = [name for name, _ in _readers(path, None)]
    short = {name: PurePosixPath(name).with_suffix(".png").as_posix() for name in names}
    often = Counter([*short.values(), *(f"{name}.png" for name in names)])
    return {name: short[name] if often[short[name]] == 1 else f"{name}.png" for name in names}


def _readers(path: Path, how: Recipe | None) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Names, and what gives the pixels of each; without `how` only the names."""
    if not path.exists():
        raise DataError(f"expected a picture, a folder or a zip, but {path} does not exist")
    ground = how.ground if how else "black"

    def decoded(files: Any, name: str) -> np.ndarray:
        return decode(read(files, name), ground=ground)

    if path.is_file() and path.suffix.lower() not in sets.ENDS:
        single = SimpleNamespace(open=lambda _: path.open("rb"))
        yield path.name, partial(decoded, single, path.name)
        return
    if path.is_dir() or path.suffix.lower() == ".zip":
        files = Folder(path, str) if path.is_dir() else Zip(path, str)
        if files.names:
            yield from ((name, partial(decoded, files, name)) for name in files.names)
            return
    for part in (on_ground(part, ground) for part in _parts(path)):
        items = part.items() if how else part.names
        for name, item in zip(part.names, items, strict=True):
            yield name, partial(_pixels, item)


def _parts(path: Path) -> Iterator[Part]:
    """All splits of a set, a test split too. Raises DataError if `path` is none."""
    found = sets.from_path(path, None)
    yield from (found.train, found.validation)
    try:
        test = sets.from_path(path, "test").validation
    except DataError:  # there is none
        return
    if not {*test.names} & {*found.validation.names}:
        yield test


def _pixels(item: Item) -> np.ndarray:
    if isinstance(item, str):
        raise DataError(item)
    return item.pixels if isinstance(item, Picture) else item
