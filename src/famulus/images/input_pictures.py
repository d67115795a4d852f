"""Pictures that a person hands over: one file, a folder or a zip, each with a name of its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np

from famulus.config.errors import DataError
from famulus.images.decoding import decode
from famulus.images.files import Folder, Zip, read
from famulus.images.picture import Box, Recipe, render


def loose_pictures(path: Path, how: Recipe) -> Iterator[tuple[str, np.ndarray | DataError]]:
    """(relative name, CHW in the form `how`, or why it can't be read), in order of names.

    As the training set is held: uint8, or float32 in 0..1 (`unit.as_unit` takes both).
    A name never leads outside the folder it is joined to.
    Raises DataError if there is nothing to read.
    """
    for name, placed in placed_pictures(path, how):
        yield name, placed if isinstance(placed, DataError) else placed[0]


def placed_pictures(
    path: Path, how: Recipe
) -> Iterator[tuple[str, tuple[np.ndarray, Box] | DataError]]:
    """As `loose_pictures`, with the place of each picture inside its frame."""
    for name, raw in _readers(path):
        # results are written under these names
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield name, DataError("its name leads outside the archive")
            continue
        try:
            pixels, box, _ = render(decode(raw(), ground=how.ground), how)
        # given, not raised: one broken picture must not stop the others
        except DataError as error:
            yield name, error
        else:
            # A copy: Pillow's arrays can't be written to, and torch warns of such.
            yield name, (np.array(pixels, order="C"), box)


def png_names(path: Path) -> dict[str, str]:
    """Relative PNG for what is made of each of `loose_pictures`, no two the same.

    `a.jpg` becomes `a.png`; where `a.png` or `a.gif` lies beside it, each keeps its own suffix as
    well (`a.jpg.png`).
    """
    names = [name for name, _ in _readers(path)]
    short = {name: PurePosixPath(name).with_suffix(".png").as_posix() for name in names}
    often = Counter([*short.values(), *(f"{name}.png" for name in names)])
    return {name: short[name] if often[short[name]] == 1 else f"{name}.png" for name in names}


def _readers(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if not path.exists():
        raise DataError(f"expected a picture, a folder or a zip, but {path} does not exist")
    if path.is_file() and path.suffix.lower() != ".zip":
        single = SimpleNamespace(open=lambda name: path.open("rb"))
        yield path.name, partial(read, single, path.name)
        return
    files = Folder(path, str) if path.is_dir() else Zip(path, str)
    if not files.names:
        raise DataError(f"expected pictures in {path}, found none")
    for name in files.names:
        yield name, partial(read, files, name)
