"""What sources have in common that make something else of pictures: labels, or questions."""

import copy
from collections.abc import Callable, Sequence
from typing import Self

import torch

from famulus.feed.source import Splits
from famulus.images.file_source import FileSource
from famulus.images.image_source import ImageSource
from famulus.images.open import ImageSplits


class OverPictures:
    """As many samples as `base` has pictures, of their size and with their names."""

    def __init__(self, base: ImageSource | FileSource) -> None:
        self.base, self.slow = base, base.slow

    def __len__(self) -> int:
        return len(self.base)

    @property
    def names(self) -> list[str]:
        """File names, by index."""
        return self.base.names

    @property
    def shape(self) -> tuple[int, int, int]:
        """C Y X of a picture."""
        return self.base.shape

    def to(self, device: torch.device) -> Self:
        """Over the same pictures on the device, if they fit there."""
        moved = self.base.to(device)
        if moved is self.base:
            return self
        twin = copy.copy(self)
        twin.base = moved
        return twin


class OverSplits(Splits):
    """Both parts over the pictures of `found`. Notes wait until they are asked for, since they
    need the pixels: `first`, then those of the pictures that `holds` is true of, then what `last`
    finds."""

    def __init__(
        self,
        train: OverPictures,
        validation: OverPictures,
        found: ImageSplits,
        first: Sequence[str] = (),
        last: Callable[[], list[str]] = list,
        holds: Callable[[str], bool] = bool,
    ) -> None:
        object.__setattr__(self, "train", train)
        object.__setattr__(self, "validation", validation)
        object.__setattr__(self, "_made", (found, tuple(first), last, holds))

    def __repr__(self) -> str:
        return f"OverSplits({self.train.base.part.label})"

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        found, first, last, holds = self._made
        return [*first, *filter(holds, found.notes), *last()]

    @property
    def resized(self) -> bool:
        return self._made[0].resized
