"""Masks and labels: pictures or volumes of two levels, as 0 and 1.

A mask may be drawn by luma or by alpha: transparent is 0 then, and all that is opaque must have one
colour, or it is not clear which of both is meant.

Shapes: YX, labels also ZYX.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.plane_files import picture
from famulus.volumes.reader import Reader

PICTURES = (".png", ".jpg", ".jpeg")
MANY = 70_000  # levels, more than two bytes can tell apart


def two_levels(
    path: Path, read: Callable[[Path], Reader], *, strict: bool
) -> tuple[np.ndarray, list[str]]:
    """uint8 0/1 of a picture (YX) or of a volume (ZYX; YX if it has one plane), and notes.

    `strict`: two levels of which one is 0, as labels must have; of a mask all above 0 counts.
    Raises DataError naming the file if it can't be read or is not what it should be.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURES:
        values, notes = _of_picture(path)
        levels, out = np.unique(values), (values != 0).astype(np.uint8)
    else:
        reader = read(path)
        memory.must_fit(path, reader.shape, np.dtype(np.uint8), "crop it")
        out, levels, notes = np.empty(reader.shape, np.uint8), np.zeros(0), reader.notes
        for (z, y, x), part in reader.pieces():
            if len(levels) < MANY:
                levels = np.union1d(levels, np.unique(part))
            deep, tall, wide = part.shape
            out[z : z + deep, y : y + tall, x : x + wide] = part != 0
        out = out[0] if len(out) == 1 else out
    if len(levels) > 2 or levels[0] != 0:
        if strict:
            raise DataError(
                f"{path}: expected two levels of which one is 0, received {levels[:6].tolist()}"
            )
        if len(levels) > 2:
            notes = [*notes, f"{path.name}: {len(levels)} levels: all but 0 counts"]
    return out, notes


def _of_picture(path: Path) -> tuple[np.ndarray, list[str]]:
    with picture(path) as image:
        # as RGBA, and its luma
        memory.one_part(path, 5 * image.width * image.height // 4, "a picture", "write it as TIFF")
        # P may bring its own transparency, grey a level that stands for it
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            return _of_alpha(path, image.convert("RGBA"))
        if image.mode != "P":
            whole = image.mode in ("1", "L", "I;16", "I;16B", "I")
            return np.asarray(image if whole else image.convert("L")), []
        luma = np.asarray(image.convert("L"))
        if len(np.unique(np.asarray(image))) > len(np.unique(luma)):
            raise DataError(f"{path}: two colours of its palette are equally bright: use grey")
        return luma, []


def _of_alpha(path: Path, image: Image.Image) -> tuple[np.ndarray, list[str]]:
    alpha, luma = np.asarray(image.getchannel("A")), np.asarray(image.convert("L"))
    levels = np.unique(alpha)
    if levels.tolist() == [255]:
        return luma, []
    drawn = np.unique(luma[alpha > 0])
    if len(levels) > 2 or levels[0] != 0 or len(drawn) > 1:
        raise DataError(
            f"{path}: drawn by alpha ({len(levels)} levels) and by brightness ({len(drawn)} "
            "levels where it is opaque): expected one of both: flatten it to black and white"
        )
    return alpha, [f"{path.name}: taken from alpha: what is opaque is 1"]
