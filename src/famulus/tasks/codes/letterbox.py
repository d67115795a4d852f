"""A person's own pictures in a model's frame, with their masks.

Shapes: image_1CYX float32 in grey ranges, mask_11YX (1 = real, 0 = padding).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from famulus.config.errors import DataError
from famulus.images.image_source import box_mask
from famulus.images.input_pictures import loose_pictures, png_names
from famulus.images.picture import Recipe, render


def placed(
    inputs: Path, how: Recipe, unread: list[str]
) -> Iterator[tuple[str, str, Tensor, Tensor]]:
    """(name, PNG to write, image_1CYX, mask_11YX) of each readable picture.

    Why the others can't be read is added to `unread`, a line each.
    """
    pngs = png_names(inputs)
    # first as it is stored: the frame needs the true sides
    as_is = Recipe(None, how.filter, how.channels, "stretch")
    for name, pixels in loose_pictures(inputs, as_is, how):
        if isinstance(pixels, DataError):
            unread.append(f"{name} ({pixels})")
            continue
        flat = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        framed, box, _ = render(np.ascontiguousarray(flat), how)
        # A copy: torch warns of arrays that can't be written to.
        image = torch.from_numpy(np.array(framed))[None].float() / 255
        yield name, pngs[name], image, box_mask(torch.tensor([box]), *image.shape[2:])
