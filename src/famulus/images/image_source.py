"""Samples chosen from one part of a set: `ImageSource` holds them in memory, decoded once.

Shapes: B batch, C channels, H W height and width.
"""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from famulus.feed.source import Source
from famulus.images.grey_range import GreyRange
from famulus.images.parts import Decoded, Part, decoded
from famulus.images.picture import Recipe
from famulus.images.subset import choose
from famulus.images.unit import as_unit

RESIDENT_SHARE = 0.25  # of a device's free memory that a set may take


@dataclass(frozen=True)
class Choice:
    """Which samples of a part: a subset (see `subset.choose`) and the seed that draws it."""

    subset: Any
    seed: int
    field: str  # the name in the experiment file, for messages


class PartSource(Source):
    """What sources of pictures share: identity, and which samples were kept and chosen.

    `kept` (int64, positions in the part's names) is what could be read; a subclass finds it out.
    """

    kept: np.ndarray
    classes: tuple[str, ...] | None

    def __init__(
        self, part: Part, how: Recipe, choice: Choice, grey: GreyRange | None = None
    ) -> None:
        """`grey`: that of the whole set; None: its own, as of a training part."""
        self.part, self.declared, self.choice = part, how, choice
        self.grey = grey or GreyRange(part, how.range)
        self.leads = self.grey.train is part
        self.classes = part.classes

    def over(self, part: Part) -> Self:
        """The same recipe, choice and range for another part."""
        other = type(self)(part, self.declared, self.choice, self.grey)
        other.leads = self.leads
        return other

    @cached_property
    def recipe(self) -> Recipe:
        """With the range in use, which may have to be measured. Raises DataError."""
        return self.grey.over(self.part, self.declared)

    @property
    def range(self) -> tuple[float, float] | None:
        """The stored values that are 0 and 1 here; None: 8 bits, divided by 255."""
        return self.recipe.range

    @property
    def range_notes(self) -> list[str]:
        """Once a set: with its training part."""
        return self.grey.notes if self.leads else []

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of sha256 over the raw bytes' digest and the recipe.

        A measured range follows from the bytes of the training part, and so from its digest.
        """
        how = asdict(self.declared)
        # newer than the first release: a set without it keeps its fingerprint
        del how["of_bytes"]
        if how["range"] is None:
            del how["range"]
        if how["ground"] == "black":
            del how["ground"]
        form = {
            "raw": self.part.digest,
            "recipe": how,
            "subset": self.choice.subset,
            # The seed draws nothing from a whole set, which so has one fingerprint under all seeds.
            "seed": self.choice.seed if self.choice.subset is not None else None,
        }
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def _chosen(self) -> np.ndarray:
        labels = None if self.part.labels is None else self.part.labels[self.kept]
        choice = self.choice
        n = len(self.kept)
        return choose(n, choice.subset, choice.seed, labels, self.classes, choice.field)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """int64 B, positions in `classes`; None for a set without classes."""
        if self.part.labels is None:
            return None
        return self.part.labels[self.kept[self._chosen]]

    @cached_property
    def names(self) -> list[str]:
        """File names, or split and number for sets that are arrays."""
        return [self.part.names[i] for i in self.kept[self._chosen]]

    def __len__(self) -> int:
        return len(self._chosen)


class ImageSource(PartSource):
    """Pictures in memory as one array BCHW, decoded when first needed."""

    slow = False

    @cached_property
    def decoded(self) -> Decoded:
        """The whole part, before the subset is taken."""
        return decoded(self.part, self.recipe)

    @property
    def kept(self) -> np.ndarray:  # type: ignore[override]
        return self.decoded.kept

    @property
    def notes(self) -> list[str]:
        """Files left out, and why; what became of the values of the others."""
        return [*self.range_notes, *self.decoded.notes]

    @cached_property
    def images(self) -> np.ndarray:
        """BCHW, uint8 or float32 in 0..1; not to be written to: other sources may share it."""
        whole = self.decoded.images
        # The array itself where all is chosen: no second copy of a whole set.
        return whole if len(self._chosen) == len(whole) else whole[self._chosen]

    @property
    def resized(self) -> bool:
        """Whether any picture was interpolated; if not, pixels are those of the files."""
        return self.decoded.resized

    @property
    def shape(self) -> tuple[int, int, int]:
        """C H W of a sample."""
        return self.images.shape[1:]

    @cached_property
    def _columns(self) -> dict[str, Tensor]:
        """What `gather` picks from, on the CPU or, in the copy that `to` makes, on the device."""
        columns = {"image": torch.from_numpy(self.images)}
        if self.labels is not None:
            columns["label"] = torch.from_numpy(self.labels)
        if self.recipe.fit == "letterbox" and self.recipe.size is not None:
            columns["box"] = torch.from_numpy(self.decoded.boxes[self._chosen])
        return columns

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` uint8 or float32 in 0..1, `label` if there, `box` int64 B4 (top, left, height,
        width) if padded."""
        device = self._columns["image"].device
        index = torch.from_numpy(np.asarray(indices, np.int64))
        if device.type == "cuda":  # from pinned memory, so that the copy is not waited for
            index = index.pin_memory().to(device, non_blocking=True)
        return {name: column.index_select(0, index) for name, column in self._columns.items()}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` as float32 in 0..1, and `mask` from `box`; the rest as it came."""
        return finish_images(batch)

    @cached_property
    def _twins(self) -> dict[torch.device, "ImageSource"]:
        return {}

    def to(self, device: torch.device) -> "ImageSource":
        """A copy on a CUDA device, made once, if it takes less than a quarter of what is free."""
        device = torch.device(device)
        if device.type != "cuda" or self._columns["image"].device.type == "cuda":
            return self
        if device not in self._twins:
            size = sum(column.nbytes for column in self._columns.values())
            if size > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
                return self
            twin = copy.copy(self)
            twin._columns = {name: column.to(device) for name, column in self._columns.items()}
            self._twins[device] = twin
        return self._twins[device]


def finish_images(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """`image` to float32 0..1, and `box` to `mask`, on the device where the batch is."""
    batch = dict(batch)
    batch["image"] = as_unit(batch["image"])
    if "box" in batch:
        batch["mask"] = box_mask(batch.pop("box"), *batch["image"].shape[-2:])
    return batch


def box_mask(box_B4: Tensor, height: int, width: int) -> Tensor:
    """float32 B1HW: 1 inside (top, left, height, width), 0 in the padding."""
    top, left, tall, wide = box_B4[:, :, None].unbind(1)
    y = torch.arange(height, device=box_B4.device)
    x = torch.arange(width, device=box_B4.device)
    rows_BH = (y >= top) & (y < top + tall)
    columns_BW = (x >= left) & (x < left + wide)
    return (rows_BH[:, None, :, None] & columns_BW[:, None, None, :]).to(torch.float32)
