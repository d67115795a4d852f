"""Lines of Greek capitals: which pixels a scribe inked, and which a later person drew as ink.

Letters are polylines in a unit box, y down. Stroke width follows from the share of ink wanted.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

Stroke = tuple[tuple[float, float], ...]


def _arc(cx: float, cy: float, r: float, begin: float, end: float) -> Stroke:
    angles = np.linspace(begin, end, 13) * np.pi / 180
    return tuple((cx + r * float(np.cos(a)), cy + r * float(np.sin(a))) for a in angles)


LETTERS: dict[str, tuple[Stroke, ...]] = {
    "alpha": (((0, 1), (0.4, 0)), ((0.4, 0), (0.8, 1)), ((0.15, 0.65), (0.65, 0.65))),
    "gamma": (((0.05, 1), (0.05, 0)), ((0.05, 0), (0.7, 0))),
    "delta": (((0, 1), (0.4, 0)), ((0.4, 0), (0.8, 1)), ((0, 1), (0.8, 1))),
    "epsilon": (_arc(0.45, 0.5, 0.45, 60, 300), ((0.05, 0.5), (0.6, 0.5))),
    "eta": (((0, 0), (0, 1)), ((0.7, 0), (0.7, 1)), ((0, 0.5), (0.7, 0.5))),
    "theta": (_arc(0.45, 0.5, 0.45, 0, 360), ((0, 0.5), (0.9, 0.5))),
    "kappa": (((0, 0), (0, 1)), ((0, 0.5), (0.7, 0)), ((0, 0.5), (0.7, 1))),
    "lambda": (((0, 1), (0.4, 0)), ((0.4, 0), (0.8, 1))),
    "mu": (((0, 1), (0.1, 0)), ((0.1, 0), (0.45, 0.7), (0.8, 0)), ((0.8, 0), (0.9, 1))),
    "nu": (((0, 1), (0, 0)), ((0, 0), (0.7, 1)), ((0.7, 1), (0.7, 0))),
    "omicron": (_arc(0.45, 0.5, 0.4, 0, 360),),
    "pi": (((0.05, 1), (0.05, 0)), ((0, 0), (0.8, 0)), ((0.75, 0), (0.75, 1))),
    "rho": (((0.05, 1), (0.05, 0)), _arc(0.2, 0.25, 0.25, -110, 110)),
    "sigma": (_arc(0.45, 0.5, 0.45, 50, 310),),
    "tau": (((0, 0), (0.8, 0)), ((0.4, 0), (0.4, 1))),
    "upsilon": (((0, 0), (0.4, 0.5)), ((0.8, 0), (0.4, 0.5)), ((0.4, 0.5), (0.4, 1))),
    "chi": (((0, 0), (0.8, 1)), ((0.8, 0), (0, 1))),
}
OCCUPIED = 0.8  # share of places that hold a letter
MISSING, OVERDRAWN = 0.05, 0.04  # share of strokes that labels lack, or have too many
SHIFT = (0.5, 2.0)  # pixels by which labels miss the scan


def text_lines(
    mask_YX: np.ndarray, prevalence: float, letter: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(truth, labels): uint8 YX, 0 or 1, inside the mask; exactly `prevalence` of it is truth."""
    tall, wide = mask_YX.shape
    inked, drawn = (Image.new("1", (wide, tall), 1) for _ in range(2))
    pens = ImageDraw.Draw(inked), ImageDraw.Draw(drawn)
    names = list(LETTERS)
    y = rng.uniform(0.0, 0.4) * letter
    strokes = 0
    # on a small fragment the first line may miss the frame: one stroke at least, or there is no ink
    while y < tall or not strokes:
        x = rng.uniform(0, 0.6) * letter
        while x < wide or not strokes:
            glyph = LETTERS[names[rng.integers(len(names))]]
            size, slant = letter * rng.uniform(0.85, 1.1), rng.normal(0, 0.08)
            corner = (x, y + rng.normal(0, 0.05) * letter)
            present = rng.random() < OCCUPIED
            for stroke in glyph:
                points = [
                    (corner[0] + size * (u + slant * (1 - v)), corner[1] + size * v)
                    for u, v in stroke
                ]
                # drawn whether used or not: the stream, and with it later letters, must not depend
                # on it
                chance = rng.random()
                if present:
                    pens[0].line(points, fill=0)
                    strokes += 1
                if (present and chance >= MISSING) or (not present and chance < OVERDRAWN):
                    pens[1].line(points, fill=0)
            x += size * rng.uniform(0.95, 1.2)
        y += letter * rng.uniform(1.5, 1.8)
    distance = ndimage.distance_transform_edt(np.asarray(inked))
    # a quantile of distances: strokes get as wide as the share of ink asks, exactly
    half = np.quantile(distance[mask_YX], prevalence)
    truth = (distance <= half) & mask_YX
    # all labels may be missing by chance: an empty drawing has no distance
    if not np.asarray(drawn).all():
        distance = ndimage.distance_transform_edt(np.asarray(drawn))
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(*SHIFT)
    shift = (far * np.sin(angle), far * np.cos(angle))
    # a shift of distances, not of pixels: SHIFT is a fraction of a pixel
    labels = ndimage.shift(distance, shift, order=1, mode="nearest") <= half
    return truth.astype(np.uint8), (labels & mask_YX).astype(np.uint8)
