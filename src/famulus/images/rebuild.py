"""A person's own pictures through a function, written as PNGs under their own names."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from famulus.config.errors import DataError
from famulus.images.input_pictures import loose_pictures, png_names, refuse_unread
from famulus.images.picture import Recipe
from famulus.images.strip import strip
from famulus.images.unit import as_unit


def rebuild(source: Path, out: Path, how: Recipe, change: Callable[[Tensor], Tensor]) -> None:
    """For each picture of a file, folder or zip: `change`(1CYX in 0..1), as PNG in `out`.

    Raises Unread naming those that can't be read, after all others are written.
    """
    unread, done, pngs = [], 0, png_names(source)
    for name, pixels in loose_pictures(source, how):
        if isinstance(pixels, DataError):
            unread.append(f"{name} ({pixels})")
            continue
        save(out / pngs[name], change(as_unit(torch.from_numpy(pixels)[None])))
        done += 1
    refuse_unread(unread, done)


def save(path: Path, image_1CYX: Tensor) -> None:
    """One picture in 0..1 as PNG; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels: np.ndarray = strip(image_1CYX)
    Image.fromarray(pixels).save(path)
