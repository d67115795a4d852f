"""Sets of pictures as `Splits`: `open_images("mnist", size=32, filter="bilinear", channels=1)`.

A batch holds `image` float32 BCHW in 0..1, `index` int64 B, `label` int64 B where there are labels,
and `mask` float32 B1HW (1 = picture, 0 = padding) after a letterbox. Nothing is decoded before it
is asked for; the fingerprint needs the raw bytes only.
"""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import ConfigError
from famulus.data import sets
from famulus.data.parts import Decoded, Part, decoded
from famulus.data.picture import Recipe, recipe
from famulus.data.source import Splits
from famulus.data.subset import choose

RESIDENT_SHARE = 0.25  # of a device's free memory that a set may take


@dataclass(frozen=True)
class Choice:
    """Which samples of a part: a subset (see `subset.choose`) and the seed that draws it."""

    subset: Any
    seed: int
    field: str  # the name in the experiment file, for messages


class ImageSource:
    """Pictures in memory as one uint8 array BCHW, decoded when first needed."""

    slow = False

    def __init__(self, part: Part, how: Recipe, choice: Choice) -> None:
        self.part, self.recipe, self.choice = part, how, choice
        self.classes = part.classes

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of sha256 over the raw bytes' digest and the recipe."""
        form = {
            "raw": self.part.digest,
            "recipe": asdict(self.recipe),
            "subset": self.choice.subset,
            "seed": self.choice.seed if self.choice.subset is not None else None,
        }
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def decoded(self) -> Decoded:
        """The whole part, before the subset is taken."""
        return decoded(self.part, self.recipe)

    @cached_property
    def _chosen(self) -> np.ndarray:
        everything = self.decoded
        labels = None if self.part.labels is None else self.part.labels[everything.kept]
        choice = self.choice
        n = len(everything.kept)
        return choose(n, choice.subset, choice.seed, labels, self.classes, choice.field)

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 BCHW; not to be written to: other sources may share it."""
        whole = self.decoded.images
        return whole if len(self._chosen) == len(whole) else whole[self._chosen]

    @cached_property
    def labels(self) -> np.ndarray | None:
        """int64 B, positions in `classes`; None for a set without classes."""
        if self.part.labels is None:
            return None
        return self.part.labels[self.decoded.kept[self._chosen]]

    @cached_property
    def names(self) -> list[str]:
        """File names, or split and number for sets that are arrays."""
        return [self.part.names[i] for i in self.decoded.kept[self._chosen]]

    @property
    def resized(self) -> bool:
        """Whether any picture was interpolated; if not, pixels are those of the files."""
        return self.decoded.resized

    @property
    def shape(self) -> tuple[int, int, int]:
        """C H W of a sample."""
        return self.images.shape[1:]  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self._chosen)

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
        """`image` uint8, `label` if there, `box` int64 B4 (top, left, height, width) if padded."""
        device = self._columns["image"].device
        index = torch.from_numpy(np.asarray(indices, np.int64)).to(device)
        return {name: column.index_select(0, index) for name, column in self._columns.items()}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` / 255 as float32, and `mask` from `box`; the rest as it came."""
        return finish_images(batch)

    def to(self, device: torch.device) -> "ImageSource":
        """A copy on a CUDA device if it takes less than a quarter of what is free there."""
        device = torch.device(device)
        if device.type != "cuda" or self._columns["image"].device.type == "cuda":
            return self
        size = sum(column.nbytes for column in self._columns.values())
        if size > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
            return self
        twin = copy.copy(self)
        twin._columns = {name: column.to(device) for name, column in self._columns.items()}
        return twin


def finish_images(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """uint8 `image` to float32 0..1, and `box` to `mask`, on the device where the batch is."""
    batch = dict(batch)
    batch["image"] = batch["image"].to(torch.float32) / 255
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


class ImageSplits(Splits):
    """`Splits` whose notes wait until they are asked for, since they need the pixels."""

    def __init__(self, train: ImageSource, validation: ImageSource) -> None:
        object.__setattr__(self, "train", train)
        object.__setattr__(self, "validation", validation)

    @cached_property
    def notes(self) -> list[str]:  # type: ignore[override]
        """Files left out and why."""
        return self.train.decoded.notes + self.validation.decoded.notes

    @property
    def resized(self) -> bool:
        """Whether any picture was interpolated."""
        return self.train.resized or self.validation.resized


def open_images(
    name: str,
    size: Any = None,
    filter: str = "bilinear",
    channels: int | None = None,
    subset: Any = None,
    validation: Any = None,
    seed: int = 0,
    fit: str = "stretch",
) -> ImageSplits:
    """The training and validation pictures of a set.

    `size` None keeps the files' size, else pixels (square) or [height, width]; `filter` and `fit`
    as in `picture`; `channels` 1 (luma), 3 or None (as the set is). `subset` takes a count, a
    share or class names of the training part only, so that scores stay comparable; `validation`
    takes a count or a share of the validation part. `seed` draws both.
    Raises ConfigError for a wrong argument, DataError for missing or damaged files.
    """
    how = recipe(size, filter, channels, fit)
    if name not in sets.NAMED:
        known = ", ".join(sets.NAMED)
        raise ConfigError(f"data.name: expected one of {known} or a path, received {name!r}")
    train, held_out = sets.NAMED[name]()
    return ImageSplits(
        ImageSource(train, how, Choice(subset, seed, "data.subset")),
        ImageSource(held_out, how, Choice(validation, seed, "data.validation")),
    )
