"""Pictures of a set that pass a filter by tags and orientation: a `Source` over another one.

A subset is drawn from what the filter keeps, so that 200 are 200.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.feed.source import Source, Splits
from famulus.images.file_source import FileSource
from famulus.images.files import FilePart
from famulus.images.image_index import Entry, Filter, kept_names, name_tags, read_index
from famulus.images.image_source import Choice, ImageSource
from famulus.images.open import PictureSplits
from famulus.images.picture import Recipe
from famulus.images.subset import choose

Pictures = ImageSource | FileSource


class Picked(Source):
    """The pictures of `source` that `how` keeps, and `choice` of them; labels and classes as there.

    `source` itself must not be a subset already.
    """

    slow: bool
    classes: Sequence[str] | None

    def __init__(self, source: Pictures, how: Filter, index: Path | None, choice: Choice) -> None:
        self.source, self.how, self.index, self.choice = source, how, index, choice
        self.slow = source.slow
        self.classes = source.classes

    @cached_property
    def fingerprint(self) -> str:
        # of its bytes: an index that was edited makes other data
        digest = hashlib.sha256(self.index.read_bytes()).hexdigest() if self.index else None
        form = [self.source.fingerprint, sorted(self.how.include), sorted(self.how.exclude)]
        form += [self.how.orientation, digest]
        if self.choice.subset is not None:
            form += [self.choice.subset, self.choice.seed]
        text = json.dumps(form)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def passed(self) -> np.ndarray:
        """Positions in `source` that pass. Raises DataError if the filter leaves nothing."""
        names = self.source.names
        entries = read_index(self.index) if self.index else [Entry(n, name_tags(n)) for n in names]
        kept = kept_names(names, entries, self.how, self._size)
        if not kept:
            tags = sorted(set().union(*(e.tags for e in entries))) if entries else []
            some = ", ".join(tags[:12]) + (", ..." if len(tags) > 12 else "")
            raise DataError(
                f"{self.source.part.label}: the filter leaves none of {len(names)} pictures: "
                f"include {sorted(self.how.include)}, exclude {sorted(self.how.exclude)}, "
                f"orientation {self.how.orientation}; tags there are: {some or 'none'}"
            )
        return np.array(kept, np.int64)

    @cached_property
    def chosen(self) -> np.ndarray:
        """Positions in `source` of the samples."""
        labels = None if self.source.labels is None else self.source.labels[self.passed]
        drawn = (self.choice.subset, self.choice.seed, labels, self.classes, self.choice.field)
        # after the filter: a share or a count is of what it keeps
        return self.passed[choose(len(self.passed), *drawn)]

    def _size(self, name: str) -> tuple[int, int]:
        """(height, width) of a picture as it is stored, (0, 0) if it can't be read."""
        part = self.source.part
        if not isinstance(part, FilePart):
            return self.source.shape[1:]
        size = part.header(name)
        return (0, 0) if isinstance(size, str) else size

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def recipe(self) -> Recipe:
        """How its pictures became samples."""
        return self.source.recipe

    @property
    def names(self) -> list[str]:
        return [self.source.names[i] for i in self.chosen]

    @property
    def labels(self) -> np.ndarray | None:
        return None if self.source.labels is None else self.source.labels[self.chosen]

    @property
    def notes(self) -> list[str]:
        left = len(self.source) - len(self.passed)
        return [*self.source.notes, f"{self.source.part.label}: {left} pictures filtered out"]

    @property
    def images(self) -> np.ndarray:
        """As of a source in memory."""
        return self.source.images[self.chosen]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.source.shape

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        return self.source.gather(self.chosen[indices], seeds)

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        return self.source.finish(batch, seeds)

    def to(self, device: torch.device) -> "Picked":
        moved = self.source.to(device)
        if moved is self.source:
            return self
        twin = Picked(moved, self.how, self.index, self.choice)
        # The same choice: neither the index nor the headers are read again.
        twin.__dict__["chosen"] = self.chosen
        return twin


def pick(
    splits: PictureSplits, how: Filter, index: Path | None, train: Choice, validation: Choice
) -> Splits:
    """Both parts of `splits`, filtered, and what is chosen of them."""
    kept = Picked(splits.train, how, index, train)
    held_out = Picked(splits.validation, how, index, validation)
    return PictureSplits(kept, held_out, splits.first)
