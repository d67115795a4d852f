"""Which axis of an array is what, and how its values become pictures.

Shapes: B pictures, H W height and width, C channels (1 grey, 3 RGB, 4 RGBA). An array whose shape
fits two layouts is refused: nothing in it could tell them apart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from famulus.config.errors import DataError
from famulus.images.decoding import MAX_PIXELS
from famulus.images.stored import Stored

CHANNELS = (1, 3)
ALPHA = 4
# What numbers become where nobody chose their type: whole ones of 0..255 in them are bytes.
UNCHOSEN = ("int32", "int64", "uint64", "float16", "float32", "float64")
HELD = {"int8": "int16", "float16": "float32", "float64": "float32", "longdouble": "float32"}
KEPT = ("uint8", "uint16", "int16", "int32", "uint32", "float32")
DARK = 63  # the largest value under a quarter of a byte: a scale of its own, no bytes


@dataclass(frozen=True)
class Layout:
    """`last`: whether the channels are the last axis; `flat`: each picture is one row."""

    height: int
    width: int
    channels: int
    last: bool = True
    flat: bool = False

    def pictures(self, block: np.ndarray) -> np.ndarray:
        """BHW, or BHWC for more than one channel, of an array's rows."""
        if self.flat or block.ndim == 3:
            return block.reshape(-1, self.height, self.width)
        block = block if self.last else block.transpose(0, 2, 3, 1)
        return block[..., 0] if self.channels == 1 else block


def layout_of(images: Stored) -> Layout:
    """Raises DataError naming the shape and what was expected."""
    shape = images.shape
    received = f"received {images.dtype} {shape}"
    if math.prod(shape) and len(shape) == 2:
        side = math.isqrt(shape[1])
        if side * side != shape[1]:
            raise DataError(
                f"{images.where}: expected rows of a square picture, received rows of {shape[1]}: "
                "reshape them to (B, H, W) or (B, H, W, 3)"
            )
        result = Layout(side, side, 1, flat=True)
    elif math.prod(shape) and len(shape) == 3:
        result = Layout(*shape[1:], 1)
    elif math.prod(shape) and len(shape) == 4:
        result = _of_four(images)
    else:
        more = ": volumes belong to the task scroll" if len(shape) == 5 else ""
        raise DataError(
            f"{images.where}: expected images BHW, BHWC or BCHW, at least one, {received}{more}"
        )
    if result.height * result.width > MAX_PIXELS:
        raise DataError(f"{images.where}: expected at most {MAX_PIXELS:,} pixels, {received}")
    return result


def flat_note(images: Stored, shape: Layout) -> str:
    """What was taken for what, where pictures lie in rows; else nothing."""
    if not shape.flat:
        return ""
    rows = images.shape[1]
    return f"{images.where}: rows of {rows} taken as {shape.height}x{shape.width} pictures"


def _of_four(images: Stored) -> Layout:
    count, a, b, c = images.shape
    fits = [
        (channels, last)
        for channels, last in ((c, True), (a, False))
        if channels in (*CHANNELS, ALPHA)
    ]
    # Pictures 4 high or wide are rare, and RGBA arrays are, too: grey and RGB are asked first.
    fits = [pair for pair in fits if pair[0] in CHANNELS] or fits
    if len(fits) == 1:
        channels, last = fits[0]
        return Layout(a, b, channels) if last else Layout(b, c, channels, last=False)
    shape = f"received {images.dtype} {images.shape}"
    if fits:
        raise DataError(
            f"{images.where}: {shape} fits both BHWC ({count} of {a}x{b}) and BCHW ({count} of "
            f"{b}x{c}): store grey pictures as (B, H, W), or without an axis of that size"
        )
    raise DataError(
        f"{images.where}: expected images BHW, BHWC or BCHW with 1, 3 or 4 channels, {shape}"
    )


@dataclass(frozen=True)
class Values:
    """The smallest and largest value of an array, and whether all are whole numbers."""

    low: float
    high: float
    whole: bool


@lru_cache(maxsize=64)
def values_of(images: Stored) -> Values:
    """One pass over the file. Raises DataError with count and place of what is not finite."""
    low, high, whole, rows = math.inf, -math.inf, True, 0
    bad, first = 0, 0
    for block in images.blocks():
        if block.dtype.kind == "f":
            finite = np.isfinite(block).reshape(len(block), -1).all(1)
            if not finite.all():
                first = first if bad else rows + int(np.argmin(finite))
                bad += int((~finite).sum())
            whole = whole and not bad and bool((block == np.rint(block)).all())
        low, high = min(low, block.min().item()), max(high, block.max().item())
        rows += len(block)
    if bad:
        raise DataError(
            f"{images.where}: {bad:,} of {len(images):,} pictures hold NaN or infinity, the first "
            f"is number {first}: mend or remove them"
        )
    return Values(low, high, whole)


def held_type(arrays: Sequence[Stored]) -> tuple[np.dtype, list[str]]:
    """(the type in which all these arrays become pictures, notes): one for all, or the same
    picture would have two values. Raises DataError for values that no type here can hold."""
    first = arrays[0]
    where, name = first.where, first.dtype.newbyteorder("=").name
    for other in arrays[1:]:
        if other.dtype.newbyteorder("=").name != name:
            raise DataError(f"{other.where}: expected {name} as in {where}, received {other.dtype}")
    if name == "uint8":
        return np.dtype(np.uint8), []
    if name == "bool":
        return np.dtype(np.uint8), [f"{where}: bool: False taken as 0, True as 255"]
    if first.dtype.kind not in "iuf":
        raise DataError(f"{where}: expected images of numbers, received {first.dtype}")
    values = [values_of(array) for array in arrays]
    low, high = min(v.low for v in values), max(v.high for v in values)
    if name in UNCHOSEN and all(v.whole for v in values) and low >= 0 and DARK < high <= 255:
        return np.dtype(np.uint8), [
            f"{where}: {name} of whole numbers {low:.0f} to {high:.0f}: taken as bytes 0 to 255"
        ]
    if name in ("int64", "uint64"):
        kind = next((t for t in ("int32", "uint32") if _holds(np.iinfo(t), low, high)), None)
        if kind is None:
            raise DataError(
                f"{where}: {name} of {low} to {high}: expected values that fit in 32 bits"
            )
        return np.dtype(kind), []
    if first.dtype.kind == "f" and max(-low, high) > float(np.finfo(np.float32).max):
        raise DataError(f"{where}: {name} of {low} to {high}: expected values that fit in float32")
    notes = []
    exact = all(v.whole for v in values) and max(-low, high) <= 1 << 24
    if first.dtype.itemsize > 4 and first.dtype.kind == "f" and not exact:
        notes.append(f"{where}: {name} held as float32: 7 decimal places")
    return np.dtype(name if name in KEPT else HELD.get(name, "float32")), notes


def _holds(kind: np.iinfo, low: float, high: float) -> bool:
    return kind.min <= low and high <= kind.max


def pictures(images: Stored, shape: Layout, dtype: np.dtype) -> Iterator[np.ndarray]:
    """Blocks BHW or BHWC of `dtype`, RGBA laid on black."""
    for block in images.blocks():
        block = block * np.uint8(255) if block.dtype == bool else block.astype(dtype, copy=False)
        block = shape.pictures(block)
        yield _on_black(block) if shape.channels == ALPHA else block


def _on_black(block: np.ndarray) -> np.ndarray:
    """Colour times alpha of uint8 BHW4, rounded to the nearest: BHW3."""
    wide = block[..., :3].astype(np.uint16) * block[..., 3:]
    return ((wide + 127) // 255).astype(np.uint8)
