"""A person's own pictures in a model's frame, with their masks.

Shapes: image_1CYX float32 in grey ranges, mask_11YX (1 = real, 0 = padding).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.images.image_source import box_mask
from famulus.images.input_pictures import placed_pictures, png_names
from famulus.images.picture import Recipe
from famulus.images.unit import as_unit


def placed(
    inputs: Path, how: Recipe, unread: list[str]
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """(name, PNG to write, image_1CYX, mask_11YX) of each readable picture.

    Why the others can't be read is added to `unread`, a line each.
    """
    pngs = png_names(inputs)
    for name, placed in placed_pictures(inputs, how):
        if isinstance(placed, DataError):
            unread.append(f"{name} ({placed})")
            continue
        pixels, box = placed
        image = as_unit(torch.from_numpy(pixels)[None])
        yield name, pngs[name], image, box_mask(torch.tensor([box]), *image.shape[2:])
