"""Pictures as stored beside the same after each resize filter, without stretching any."""

from dataclasses import replace

import numpy as np

from famulus.images.image_source import PartSource
from famulus.images.parts import originals
from famulus.images.picture import Recipe, render

PAPER = 128  # grey around pictures that are smaller than their frame


def before_after(source: object, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Row name -> uint8 (Y, B * X, 3): stored, nearest, bilinear, and the filter in use.

    Empty where nothing was resized, or where stored pictures are too large to stand beside.
    """
    if not isinstance(source, PartSource) or not source.resized:
        return {}
    how: Recipe = source.recipe
    stored = originals(source.part, source.kept[source._chosen][indices])
    stored = [item for item in stored if not isinstance(item, str)]
    # beside a picture four times as large the small ones can't be seen
    if not stored or how.size is None or max(max(i.shape[:2]) for i in stored) > 4 * max(how.size):
        return {}
    # a dict, not a set: keeps the order, and the filter in use is not shown twice
    filters = dict.fromkeys(["nearest", "bilinear", how.filter])
    as_is = replace(how, size=None)
    rows = {"stored": [_shown(item, as_is) for item in stored]}
    for name in filters:
        # only the filter differs: what is seen is its doing
        other = replace(how, filter=name)
        rows[f"{name} {how.size[0]}"] = [_shown(item, other) for item in stored]
    tall = max(image.shape[0] for row in rows.values() for image in row)
    wide = max(image.shape[1] for row in rows.values() for image in row)
    return {
        name: np.concatenate([_framed(image, tall, wide) for image in row], axis=1)
        for name, row in rows.items()
    }


def _shown(item: np.ndarray, how: Recipe) -> np.ndarray:
    """YXC uint8."""
    image_CYX = render(item, how)[0]
    if image_CYX.dtype != np.uint8:
        image_CYX = np.rint(image_CYX * 255).astype(np.uint8)
    return image_CYX.transpose(1, 2, 0)


def _framed(image: np.ndarray, tall: int, wide: int) -> np.ndarray:
    """In the middle of a grey frame (Y, X, 3)."""
    frame = np.full((tall, wide, 3), PAPER, np.uint8)
    top, left = (tall - image.shape[0]) // 2, (wide - image.shape[1]) // 2
    frame[top : top + image.shape[0], left : left + image.shape[1]] = image
    return frame
