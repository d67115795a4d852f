"""The refill that people write: open every slice with PIL, cut every cube's part out of it."""

from pathlib import Path

import numpy as np
from PIL import Image


def refill(folder: Path, corners: np.ndarray, size: int) -> np.ndarray:
    """Cubes (B, size, size, size) whose z begins at 0, slice by slice."""
    out = np.empty((len(corners), size, size, size), np.uint16)
    for z in range(size):
        with Image.open(folder / f"{z:02d}.tif") as image:
            layer = np.array(image)
        for i, (y, x) in enumerate(corners):
            out[i, z] = layer[y : y + size, x : x + size]
    return out
