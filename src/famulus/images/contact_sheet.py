"""A few pictures of each class on one page: tiles, rows of tiles, and all rows as one PNG.

Shapes: a tile is uint8 HW3, at most TILE pixels a side; a row is RGBA, H W 4. Around a picture
the row is transparent, so that it lies on light and dark paper alike.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

TILE, GAP = 96, 6  # pixels
LABEL, MARGIN = 18, 12  # height of a row's label; around the sheet
PAPER, INK = (251, 250, 246), (33, 31, 27)


def tile(pixels: np.ndarray, side: int = TILE) -> np.ndarray:
    """uint8 HW3 of uint8 HW or HWC, as large as fits a square of `side`, its shape kept.

    A small picture is enlarged by a whole number, pixel by pixel: what is stored is what is seen.
    """
    image = Image.fromarray(pixels).convert("RGB")
    longest = max(image.size)
    if longest <= side:
        factor = side // longest
        size = (image.width * factor, image.height * factor)
        return np.asarray(image.resize(size, Image.Resampling.NEAREST))
    size = (max(1, image.width * side // longest), max(1, image.height * side // longest))
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def row(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """RGBA: the tiles side by side, each in the middle of a cell as large as the largest."""
    high, wide = (max(pixels.shape[axis] for pixels in tiles) for axis in (0, 1))
    canvas = np.zeros((high, len(tiles) * (wide + GAP) - GAP, 4), np.uint8)
    for n, pixels in enumerate(tiles):
        tall, broad = pixels.shape[:2]
        top, left = (high - tall) // 2, n * (wide + GAP) + (wide - broad) // 2
        canvas[top : top + tall, left : left + broad, :3] = pixels
        canvas[top : top + tall, left : left + broad, 3] = 255
    return canvas


def png(pixels: np.ndarray) -> bytes:
    """uint8 HW3 or RGBA as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def sheet(rows: Mapping[str, Sequence[np.ndarray]]) -> bytes:
    """One PNG of all rows, each under its label."""
    pictures = [(label, Image.fromarray(row(tiles))) for label, tiles in rows.items() if tiles]
    wide = max((picture.width for _, picture in pictures), default=1)
    high = sum(LABEL + picture.height + MARGIN for _, picture in pictures)
    page = Image.new("RGB", (wide + 2 * MARGIN, high + MARGIN), PAPER)
    draw, top = ImageDraw.Draw(page), MARGIN
    for label, picture in pictures:
        draw.text((MARGIN, top), _printable(label), fill=INK)
        page.paste(picture, (MARGIN, top + LABEL), picture)
        top += LABEL + picture.height + MARGIN
    return png(np.asarray(page))


def _printable(label: str) -> str:
    """A class is a folder's name, which may hold anything; a font draws one line of it."""
    line = "".join(c if c.isprintable() else "?" for c in label)
    return line if len(line) <= 60 else line[:57] + "..."
