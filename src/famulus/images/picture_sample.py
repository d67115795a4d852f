"""Pixels of some pictures of a set: their values, a small copy of each, and those for the sheet.

Shapes: H W height and width, C channels, B pictures, S side of a small copy.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from PIL import Image

from famulus.config.errors import DataError
from famulus.images.contact_sheet import TILE, tile
from famulus.images.decoding import Picture
from famulus.images.files import FilePart, in_order
from famulus.images.parts import Item, Part, originals
from famulus.images.survey import Size

SMALL = 32  # side at which pictures are compared
ACROSS, CLASSES = 8, 24  # of the contact sheet: pictures of a class, classes


class Sample:
    """Collects what the pixels of both parts say, one picture at a time."""

    def __init__(self) -> None:
        self.sizes: Counter[Size] = Counter()
        self.dtypes: Counter[str] = Counter()
        self.decoded = self.colour = 0
        self.limits: list[tuple[float, float]] = []
        self.rows: dict[str, list[np.ndarray]] = {}
        self._small: dict[str, list[np.ndarray]] = {}

    def part(
        self, part: Part, role: str, count: int, cached: bool, unreadable: dict[str, list[str]]
    ) -> None:
        shown = _shown(part) if role == "train" else {}
        positions = np.union1d(spread(len(part.names), count), np.array(list(shown), np.int64))
        known = {name for names in unreadable.values() for name in names}
        small = self._small.setdefault(role, [])
        # in the order of the sheet, whatever the order of the files
        for label in dict.fromkeys(shown.values()):
            self.rows[label] = []
        for index, stored in _items(part, positions, cached):
            item = stored.pixels if isinstance(stored, Picture) else stored
            if isinstance(item, str):
                if part.names[index] not in known:
                    unreadable.setdefault(item, []).append(part.names[index])
                continue
            self.decoded += 1
            self.sizes[item.shape[:2]] += 1
            self.dtypes[item.dtype.name] += 1
            self.colour += item.ndim == 3 and bool((item[..., :1] != item[..., 1:3]).any())
            finite = item if item.dtype.kind != "f" else item[np.isfinite(item)]
            if finite.size:
                self.limits.append((float(finite.min()), float(finite.max())))
            small.append(_reduced(item))
            if index in shown:
                self.rows[shown[index]].append(_coarse(item))

    def range(self) -> tuple[float, float]:
        if not self.limits:
            return 0.0, 0.0
        return min(low for low, _ in self.limits), max(high for _, high in self.limits)

    def small(self, role: str, low: float, high: float) -> np.ndarray:
        """uint8 B3SS of the pictures of a part."""
        pictures = [as_bytes(p, low, high) for p in self._small[role]]
        if not pictures:
            return np.empty((0, 3, SMALL, SMALL), np.uint8)
        return np.stack(pictures).transpose(0, 3, 1, 2)


def _items(part: Part, positions: np.ndarray, cached: bool) -> Iterator[tuple[int, Item]]:
    indices = positions.tolist()
    if not isinstance(part, FilePart) or cached:
        yield from zip(indices, originals(part, positions), strict=True)
        return

    def read(name: str) -> Item:
        try:
            return part.picture(name)
        except DataError as error:
            return str(error)

    names = [part.names[i] for i in indices]
    # few ahead: each may hold 80 million pixels
    yield from zip(indices, in_order(read, names, ahead=3), strict=True)


def _shown(part: Part) -> dict[int, str]:
    """Positions of the contact sheet, each with its class: `ACROSS` of each, evenly spread."""
    if part.labels is None or part.classes is None:
        return {i: f"pictures {n // ACROSS + 1}" for n, i in enumerate(_even(len(part.names)))}
    labels = np.asarray(part.labels)
    chosen = {}
    for number, label in enumerate(part.classes[:CLASSES]):
        inside = np.flatnonzero(labels == number)
        for i in spread(len(inside), ACROSS):
            chosen[int(inside[i])] = label
    return chosen


def _even(count: int) -> list[int]:
    return spread(count, 3 * ACROSS).tolist()


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` of `count` positions, evenly spread, int64."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, max(1, most)).astype(np.int64))


def _coarse(item: np.ndarray) -> np.ndarray:
    """What the sheet needs of a picture: its file may hold 240 MB, and many are shown."""
    if item.dtype == np.uint8:
        return tile(as_bytes(item, 0.0, 0.0))
    step = max(
        1, max(item.shape[:2]) // TILE
    )  # values stay as stored: their range is not known yet
    return item[::step, ::step].copy()


def _reduced(item: np.ndarray) -> np.ndarray:
    """SS3 in the type of uint8 pictures, else float32: small, with all of the picture in it."""
    colours = item if item.ndim == 3 else item[..., None]
    planes = [colours[..., min(c, colours.shape[-1] - 1)] for c in range(3)]
    kind = np.uint8 if item.dtype == np.uint8 else np.float32
    images = (Image.fromarray(np.ascontiguousarray(plane, kind)) for plane in planes)
    small = [np.asarray(i.resize((SMALL, SMALL), Image.Resampling.BOX)) for i in images]
    return np.stack(small, 2)


def as_bytes(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8; other types with `low` as black and `high` as white, what is not finite black."""
    if pixels.dtype == np.uint8:
        return pixels[..., :3] if pixels.ndim == 3 and pixels.shape[-1] >= 3 else _flat(pixels)
    scaled = (np.nan_to_num(pixels.astype(np.float64)) - low) / ((high - low) or 1.0)
    return as_bytes((scaled.clip(0, 1) * 255).round().astype(np.uint8), low, high)


def _flat(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else pixels[..., 0]
