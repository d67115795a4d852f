"""Many large pictures that fit nowhere together: decoded batch by batch, from their files.

The feeder's threads each decode one batch; the bounded number of batches between them and the
training is the ring buffer, so memory stays constant whatever the set's size.
"""

from collections import Counter
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.images.files import FilePart, in_order
from famulus.images.image_source import Choice, PartSource, finish_images
from famulus.images.parts import left_out_notes, resized_notes
from famulus.images.picture import MAX_PIXELS, Recipe, place, render


class FileSource(PartSource):
    """As `ImageSource`, but `slow`: every gather decodes. `how` must name size and channels.

    The headers are read once, to leave out what is no picture. A file that turns out to be
    damaged when it is decoded raises DataError naming it.
    """

    slow = True
    part: FilePart

    def __init__(self, part: FilePart, how: Recipe, choice: Choice) -> None:
        if how.size is None or how.channels is None:
            raise DataError(
                f"{part.label}: too large to be held in memory: name data.size and data.channels"
            )
        super().__init__(part, how, choice)

    @cached_property
    def _headers(self) -> tuple[np.ndarray, list[str], bool]:
        """(positions kept, notes, whether any picture is resized)."""
        kept, stored = [], Counter[tuple[int, int]]()
        left_out: dict[str, list[str]] = {}
        for i, found in enumerate(in_order(self.part.header, self.part.names)):
            name = self.part.names[i]
            if isinstance(found, str):
                left_out.setdefault(found, []).append(name)
            # by the header: a small file can unpack to gigabytes
            elif found[0] * found[1] > MAX_PIXELS:
                reason = f"{found[1]}x{found[0]} pixels, limit {MAX_PIXELS}"
                left_out.setdefault(reason, []).append(name)
            else:
                kept.append(i)
                if place(*found, self.shape[1:], self.recipe.fit)[2:] != found:
                    stored[found] += 1
        notes = left_out_notes(self.part.label, left_out)
        if not kept:
            reason = f": {notes[0]}" if notes else ""
            raise DataError(f"{self.part.label}: expected at least 1 readable picture{reason}")
        notes += resized_notes(self.part.label, stored, len(kept), self.recipe.filter)
        return np.array(kept, np.int64), notes, bool(stored)

    @property
    def kept(self) -> np.ndarray:  # type: ignore[override]
        return self._headers[0]

    @property
    def notes(self) -> list[str]:
        """Files left out and why, and how many are resized from which sizes."""
        return self._headers[1]

    @property
    def resized(self) -> bool:
        """Whether any picture is interpolated."""
        return self._headers[2]

    @property
    def shape(self) -> tuple[int, int, int]:
        """C H W of a sample."""
        assert self.recipe.size is not None  # as it was checked when this was made
        assert self.recipe.channels is not None
        height, width = self.recipe.size
        return self.recipe.channels, height, width

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """As `ImageSource.gather`. Raises DataError naming the file that can't be decoded."""
        images = np.empty((len(indices), *self.shape), np.uint8)
        boxes = np.empty((len(indices), 4), np.int64)
        for row, index in enumerate(indices.tolist()):
            name = self.names[index]
            try:
                images[row], boxes[row], _ = render(self.part.pixels(name), self.recipe)
            except DataError as error:
                raise DataError(
                    f"{self.part.files.path}: {name}: {error}: mend or remove it"
                ) from error
        batch = {"image": torch.from_numpy(images)}
        if self.labels is not None:
            batch["label"] = torch.from_numpy(self.labels[indices])
        if self.recipe.fit == "letterbox":
            # four numbers: the mask is made of them on the device
            batch["box"] = torch.from_numpy(boxes)
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` / 255 as float32, and `mask` from `box`; the rest as it came."""
        return finish_images(batch)

    def to(self, device: torch.device) -> "FileSource":
        """Itself: it never fits."""
        return self
