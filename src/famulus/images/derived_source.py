"""What sources have in common that make something else of pictures: labels, or questions."""

import copy
from typing import Self

import torch

from famulus.feed.source import Source
from famulus.images.file_source import FileSource
from famulus.images.image_source import ImageSource
from famulus.images.picture import Recipe


class OverPictures(Source):
    """As many samples as `base` has pictures, of their size and with their names."""

    slow = False

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

    @property
    def recipe(self) -> Recipe:
        """How its pictures became samples."""
        return self.base.recipe

    @property
    def resized(self) -> bool:
        return self.base.resized

    def to(self, device: torch.device) -> Self:
        """Over the same pictures on the device, if they fit there."""
        moved = self.base.to(device)
        if moved is self.base:
            return self
        twin = copy.copy(self)
        twin.base = moved
        return twin
