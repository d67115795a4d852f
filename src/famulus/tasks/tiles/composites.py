"""Larger pictures from small ones: tiles pasted on another, enlarged one.

The journal's 3x64x64 set: 3 tiles at random places on a 4th that is enlarged by repeating pixels.
A composite is a function of (seed, index): which tiles, and where. Later tiles cover earlier ones.

Shapes: B batch, C channels, h w of a tile, H W of a composite.
"""

import copy
import hashlib
import json
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import ConfigError
from famulus.feed.source import Source, Splits
from famulus.feed.streams import sample_seeds
from famulus.images.image_source import PartSource, finish_images
from famulus.images.picture import Recipe

CHUNK = 1024


class Composites(Source):
    """`count` composites of `size` H W from the tiles of `base`, drawn as they are needed.

    Raises ConfigError if a tile is larger than the composite.
    """

    slow: bool

    def __init__(
        self, base: PartSource, size: tuple[int, int], count: int, pasted: int = 3, seed: int = 0
    ) -> None:
        if count < 1 or pasted < 0:
            raise ConfigError(
                f"data: composites expect a count of at least 1 and pasted >= 0, received {count} "
                f"and {pasted}"
            )
        self.base, self.size, self.count, self.pasted, self.seed = base, size, count, pasted, seed
        # drawing is cheap beside decoding: composites are as slow as their tiles
        self.slow = base.slow

    @property
    def resized(self) -> bool | None:
        return self.base.resized

    @property
    def recipe(self) -> Recipe:
        """How its pictures became samples."""
        return self.base.recipe

    @cached_property
    def fingerprint(self) -> str:
        form = ["composites", self.base.fingerprint, self.size, self.count, self.pasted, self.seed]
        # of the recipe and the tiles: the composites follow, and need not be drawn to be told apart
        return hashlib.sha256(json.dumps(form).encode()).hexdigest()[:16]

    @property
    def shape(self) -> tuple[int, int, int]:
        """C H W of a sample."""
        image = self.base.gather(np.zeros(1, np.int64), np.zeros(1, np.uint64))["image"]
        return (image.shape[1], *self.size)

    @cached_property
    def images(self) -> np.ndarray:
        """All composites, BCHW as the tiles are held, drawn a thousand at a time."""
        indices = np.arange(self.count)
        # in parts: the tiles of all layers are held beside the result
        parts = [indices[first : first + CHUNK] for first in range(0, self.count, CHUNK)]
        return np.concatenate([self.gather(part, part)["image"].cpu().numpy() for part in parts])

    def __len__(self) -> int:
        return self.count

    def _draw(self, indices: np.ndarray, what: int, n: int) -> np.ndarray:
        """int64 B in 0..n-1, one stream for each `what`; n below 2^32 keeps the bias under 2^-32.

        The high half of the hash is scaled, as the product's upper bits are uniform.
        """
        return ((sample_seeds(self.seed, what, indices) >> np.uint64(32)) * np.uint64(n)).astype(
            np.uint64
        ) >> np.uint64(32)

    def gather(self, indices: np.ndarray, seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` BCHW. `seeds` are not used: a composite is the same in every epoch."""
        indices = np.asarray(indices, np.int64)
        layers = self.pasted + 1
        # three streams a layer (which tile, top, left), so that more layers leave the first as they
        # are
        who = np.stack([self._draw(indices, 3 * k, len(self.base)) for k in range(layers)])
        who = who.astype(np.int64).reshape(-1)
        tiles = self.base.gather(who, np.zeros(len(who), np.uint64))["image"]
        tiles_LBChw = tiles.view(layers, len(indices), *tiles.shape[1:])
        (high, wide), (h, w) = self.size, tiles.shape[-2:]
        if h > high or w > wide:
            raise ConfigError(f"data: tiles of {h}x{w} do not fit in composites of {high}x{wide}")
        device = tiles.device
        rows = torch.arange(high, device=device) * h // high
        columns = torch.arange(wide, device=device) * w // wide
        # sample and place first, channels last: advanced indexing then writes whole pixels
        out_BHWC = tiles_LBChw[0][..., rows[:, None], columns].permute(0, 2, 3, 1).contiguous()
        sample = torch.arange(len(indices), device=device)[:, None, None]
        for k in range(1, layers):
            top, left = (
                torch.from_numpy(self._draw(indices, 3 * k + side, room + 1).astype(np.int64))
                for side, room in ((1, high - h), (2, wide - w))
            )
            y = top.to(device)[:, None, None] + torch.arange(h, device=device)[:, None]
            x = left.to(device)[:, None, None] + torch.arange(w, device=device)
            out_BHWC[sample, y, x] = tiles_LBChw[k].permute(0, 2, 3, 1)
        return {"image": out_BHWC.permute(0, 3, 1, 2).contiguous()}

    def finish(self, batch: dict[str, Tensor], seeds: np.ndarray) -> dict[str, Tensor]:
        """`image` as float32 in 0..1."""
        return finish_images(batch)

    def to(self, device: torch.device) -> "Composites":
        """The same composites, drawn on `device` if the tiles fit there."""
        base = self.base.to(device)
        # not moved, as the tiles do not fit there
        if base is self.base:
            return self
        twin = copy.copy(self)
        twin.base = base
        return twin


def composite_splits(
    tiles: Splits,
    size: int | tuple[int, int] = 64,
    pasted: int = 3,
    train: int | None = None,
    validation: int | None = None,
    seed: int = 0,
) -> Splits:
    """Composites of the training tiles, and of the validation tiles only for validation.

    Counts default to the number of tiles of each part.
    """
    sizes = (size, size) if isinstance(size, int) else (size[0], size[1])
    return Splits(
        Composites(tiles.train, sizes, train or len(tiles.train), pasted, seed),
        Composites(tiles.validation, sizes, validation or len(tiles.validation), pasted, seed),
        list(tiles.notes),
    )
