"""Does a constant go through a blend of windows unchanged, also at the ends of a map?"""

import numpy as np

from famulus.tasks.scroll.blend import Canvas, blend

CONSTANT = 0.7


def constant_error(size: int, stride: int, kind: str = "hann", margin: int = 0) -> float:
    """Largest |out - .7| of a map whose sides are no multiple of anything, all windows .7."""
    shape = (2 * size + stride // 2 + 1, 2 * size + stride // 3 + 2)
    blended = blend(
        lambda y, x: np.full((1, size, size), CONSTANT), Canvas(shape, size, stride, kind, margin)
    )
    return float(np.abs(blended - CONSTANT).max())
