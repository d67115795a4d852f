"""Pictures of a set that pass a filter by tags and orientation: a `Source` over another one."""

import hashlib
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.data.file_source import FileSource
from famulus.data.files import FilePart
from famulus.data.image_index import Entry, Filter, kept_names, name_tags, read_index
from famulus.data.image_source import ImageSource
from famulus.data.source import Splits

Pictures = ImageSource | FileSource


class Picked:
    """The pictures of `source` that `how` keeps; names, labels and classes as there."""

    def __init__(self, source: Pictures, how: Filter, index: Path | None) -> None:
        self.source, self.how, self.index = source, how, index
        self.slow = source.slow
        self.classes = source.classes

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.index.read_bytes()).hexdigest() if self.index else None
        form = [self.source.fingerprint, sorted(self.how.include), sorted(self.how.exclude)]
        text = json.dumps([*form, self.how.orientation, digest])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def chosen(self) -> np.ndarray:
        """Positions in `source`. Raises DataError if the filter leaves nothing."""
        names = self.source.names
        entries = read_index(self.index) if self.index else [self._entry(name) for name in names]
        kept = kept_names(names, entries, self.how)
        if not kept:
            seen = sorted(set().union(*(e.tags for e in entries))) if entries else []
            some = ", ".join(seen[:12]) + (", ..." if len(seen) > 12 else "")
            raise DataError(
                f"{self.source.part.label}: the filter leaves none of {len(names)} pictures: "
                f"include {sorted(self.how.include)}, exclude {sorted(self.how.exclude)}, "
                f"orientation {self.how.orientation}; tags there are: {some or 'none'}"
            )
        return np.array(kept, np.int64)

    def _entry(self, name: str) -> Entry:
        part, width, height = self.source.part, 0, 0
        if self.how.orientation != "any":
            if isinstance(part, FilePart):
                size = part.header(name)
                height, width = (0, 0) if isinstance(size, str) else size
            else:
                height, width = self.source.shape[1:]
        return Entry(name, name_tags(name), width, height)

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def names(self) -> list[str]:
        return [self.source.names[i] for i in self.chosen]

    @property
    def labels(self) -> np.ndarray | None:
        return None if self.source.labels is None else self.source.labels[self.chosen]

    @property
    def notes(self) -> list[str]:
        left = len(self.source) - len(self)
        return [*self.source.notes, f"{self.source.part.label}: {left} pictures filtered out"]

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
        twin = Picked(moved, self.how, self.index)
        twin.__dict__["chosen"] = self.chosen
        return twin


def pick(splits: Splits, how: Filter, index: Path | None) -> Splits:
    """Both parts of `splits`, filtered; as they are if the filter keeps everything."""
    if how.keeps_all and index is None:
        return splits
    train, held_out = (Picked(s, how, index) for s in (splits.train, splits.validation))
    return Splits(train, held_out, [*train.notes, *held_out.notes])
