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
from famulus.images.grey_range import GreyRange
from famulus.images.image_source import Choice, PartSource, finish_images
from famulus.images.parts import left_out_notes, resized_notes
from famulus.images.picture import Recipe, place, render
from famulus.images.room import BYTES, Room
from famulus.images.value_notes import mixed_notes, remark_notes

_room = Room(BYTES)  # of all threads that decode


class FileSource(PartSource):
    """As `ImageSource`, but `slow`: every gather decodes. `how` must name size and channels.

    The headers are read once, to leave out what is no picture. A file that turns out to be
    damaged when it is decoded raises DataError naming it.
    """

    slow = True
    part: FilePart

    def __init__(
        self, part: FilePart, how: Recipe, choice: Choice, grey: GreyRange | None = None
    ) -> None:
        if how.size is None or how.channels is None:
            raise DataError(
                f"{part.label}: too large to be held in memory: name data.size and data.channels"
            )
        super().__init__(part, how, choice, grey)

    @cached_property
    def _headers(self) -> tuple[np.ndarray, list[str], bool]:
        """(positions kept, notes, whether any picture is resized)."""
        kept, stored, types = [], Counter[tuple[int, int]](), Counter[str]()
        left_out: dict[str, list[str]] = {}
        remarks: dict[str, list[str]] = {}
        label = self.part.label
        for i, header in enumerate(in_order(self.part.head, self.part.names)):
            name = self.part.names[i]
            if isinstance(header, str):
                left_out.setdefault(header, []).append(name)
                continue
            kept.append(i)
            types["more than 8 bits" if header.deep else "uint8"] += 1
            for remark in header.remarks:
                remarks.setdefault(remark, []).append(name)
            size = header.height, header.width
            if place(*size, self.shape[1:], self.declared.fit)[2:] != size:
                stored[size] += 1
        notes = [*self.range_notes, *left_out_notes(label, left_out)]
        if not kept:
            reason = f": {notes[-1]}" if left_out else ""
            raise DataError(f"{label}: expected at least 1 readable picture{reason}")
        notes += [*remark_notes(label, remarks, len(kept)), *mixed_notes(label, types)]
        if self.range:
            notes.append(f"{label}: pixels outside the range are cut off, uncounted: large set")
        notes += resized_notes(label, stored, len(kept), self.declared.filter)
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
        assert self.declared.size is not None  # as it was checked when this was made
        assert self.declared.channels is not None
        height, width = self.declared.size
        return self.declared.channels, height, width

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """As `ImageSource.gather`. Raises DataError naming the file that can't be decoded."""
        how = self.recipe
        images = np.empty((len(indices), *self.shape), np.float32 if how.range else np.uint8)
        boxes = np.empty((len(indices), 4), np.int64)
        for row, index in enumerate(indices.tolist()):
            name = self.names[index]
            try:
                with _room.share() as take:
                    images[row], boxes[row], _ = render(self.part.picture(name, take).pixels, how)
            except DataError as error:
                raise DataError(
                    f"{self.part.files.path}: {name}: {error}: mend or remove it"
                ) from error
        batch = {"image": torch.from_numpy(images)}
        if self.labels is not None:
            batch["label"] = torch.from_numpy(self.labels[indices])
        if how.fit == "letterbox":
            # four numbers: the mask is made of them on the device
            batch["box"] = torch.from_numpy(boxes)
        return batch

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` as float32 in 0..1, and `mask` from `box`; the rest as it came."""
        return finish_images(batch)

    def to(self, device: torch.device) -> "FileSource":
        """Itself: it never fits."""
        return self
