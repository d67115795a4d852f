"""Sets of pictures as `Splits`: `open_images("mnist", size=32, filter="bilinear", channels=1)`.

A batch holds `image` float32 BCHW in 0..1, `index` int64 B, `label` int64 B where there are labels,
and `mask` float32 B1HW (1 = picture, 0 = padding) after a letterbox. Nothing is decoded before it
is asked for; the fingerprint needs the raw bytes only.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from famulus.config.errors import ConfigError
from famulus.feed.source import OfForm, Samples, Splits
from famulus.images import datasets as sets
from famulus.images.decoding import Ground
from famulus.images.duplicates import duplicate_notes, find_duplicates
from famulus.images.file_source import FileSource
from famulus.images.files import FilePart
from famulus.images.grey_range import GreyRange
from famulus.images.ground import on_ground
from famulus.images.image_source import Choice, ImageSource, box_mask, finish_images
from famulus.images.pages import PAGES, with_pages
from famulus.images.parts import Part
from famulus.images.picture import Recipe, recipe

__all__ = ["FileSource", "ImageSource", "box_mask", "finish_images", "open_images"]
RESIDENT_BYTES = 4 << 30  # a part that takes more when decoded is read from its files each time


class Pictures(Protocol):
    """What notes are made of: a source of pictures, or a choice of one's."""

    slow: bool

    @property
    def notes(self) -> list[str]: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def images(self) -> np.ndarray: ...


class PictureSplits(Splits[Samples]):
    """The parts of a set of pictures. `first`: what was noticed while its files were listed."""

    def __init__(self, train: Samples, validation: Samples, first: Sequence[str]) -> None:
        super().__init__(train, validation, self._of_pictures)
        self.first = list(first)

    def _of_pictures(self) -> list[str]:
        return picture_notes(self.first, self.train, self.validation)  # type: ignore[arg-type]


def picture_notes(first: Sequence[str], train: Pictures, validation: Pictures) -> list[str]:
    """Files left out and why; validation pictures that are in training too, or nearly."""
    notes = [*first, *train.notes, *validation.notes]
    if train.slow or validation.slow:
        unknown = "validation: copies in training not looked for: read from files"
        return [*notes, OfForm(unknown)]
    pairs = find_duplicates(train.images, validation.images)
    if not pairs.complete:
        notes.append("validation: only exact copies in training looked for: too many pairs")
    return notes + duplicate_notes(pairs, train.names, validation.names)


def _source(
    part: Part, how: Recipe, choice: Choice, resident: int, grey: GreyRange
) -> ImageSource | FileSource:
    if isinstance(part, FilePart):
        channels = how.channels or 3  # one grey file among colours is no reason for another form
        how = replace(how, channels=channels)
        shape = how.size or part.header(part.names[0])
        pixels = 0 if isinstance(shape, str) else shape[0] * shape[1]
        bytes_each = 4 if how.range or grey.train.deep else 1
        if pixels * channels * len(part.names) * bytes_each > resident:
            return FileSource(part, how, choice, grey)
    return ImageSource(part, how, choice, grey)


def open_images(
    name: str,
    size: Any = None,
    filter: str = "bilinear",
    channels: int | None = None,
    subset: Any = None,
    validation: Any = None,
    seed: int = 0,
    fit: str = "stretch",
    resident_bytes: int = RESIDENT_BYTES,
    range: Any = None,
    pages: str = "first",
    background: Ground = "black",
) -> PictureSplits[ImageSource | FileSource]:
    """The training and validation pictures of a set: a name of `sets.NAMED`, or a path.

    `size` None keeps the files' size, else pixels (square) or [height, width]; `filter` and `fit`
    as in `picture`; `channels` 1 (luma), 3 or None (arrays as they are, files 3).
    `subset` takes a count, a share or class names of the training part only, so that scores stay
    comparable. `validation` takes a count or a share of the validation part; of a set without a
    split of its own, a share is what is held out (default .05, by hash of the file name); "test"
    takes the test split for it. `seed` draws subsets.
    `range` [low, high]: the stored values that become 0 and 1; None: 8 bits by 255, deeper pictures
    by what is measured over the training part. `pages`: of files with several, first, middle or
    all (each a sample). `background`: what transparent pictures are laid on, black or white.
    Raises ConfigError for a wrong argument, DataError for missing or damaged files.
    """
    how = recipe(size, filter, channels, fit, range, background)
    if pages not in PAGES:
        raise ConfigError(f"data.pages: expected one of {', '.join(PAGES)}, received {pages!r}")
    share = isinstance(validation, float) and 0 < validation < 1
    wish = validation if share or validation == "test" else None
    found = sets.find(name, wish)
    if wish == "test" or (share and not found.own_split):
        validation = None  # spent on the split
    parts = [
        with_pages(on_ground(part, background), pages) for part in (found.train, found.validation)
    ]
    grey = GreyRange(parts[0], how.range)
    choices = [Choice(subset, seed, "data.subset"), Choice(validation, seed, "data.validation")]
    train, held_out = (
        _source(part, how, choice, resident_bytes, grey)
        for part, choice in zip(parts, choices, strict=True)
    )
    return PictureSplits(train, held_out, found.notes)
