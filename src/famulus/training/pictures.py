"""A task's picture as PNG bytes: its rows stacked, nothing stretched."""

import io

import numpy as np
from PIL import Image

from famulus.tasks.base import Picture


def png(picture: Picture) -> bytes:
    """Rows under each other, in their order; all must have one shape (H, W, 3) in uint8."""
    rows = list(picture.rows.values())
    shapes = {row.shape for row in rows}
    if len(shapes) != 1 or any(row.dtype != np.uint8 for row in rows):
        received = sorted(f"{row.shape} {row.dtype}" for row in rows)
        raise ValueError(f"a picture's rows: expected one shape in uint8, received {received}")
    buffer = io.BytesIO()
    # a run stores hundreds of them
    Image.fromarray(np.concatenate(rows, axis=0)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
