"""What happened to the values of a part's pictures on the way in, counted: one line a kind."""

from collections import Counter

import numpy as np

from famulus.images.decoding import LAID, Picture
from famulus.images.picture import Recipe
from famulus.images.unit import outside

SHOWN = 3  # pictures that a line names
LEVEL = 1 / 255  # of the scale: what spans less is one level of grey in 8 bits


class VanishedNote(str):
    """`pictures` of the `of` in a part, transparent ones, of which nothing is to be seen."""

    pictures: int
    of: int


class Seen:
    """Counts over the pictures of one part that were rendered by `how`."""

    def __init__(self, label: str, how: Recipe) -> None:
        self.label, self.how = label, how
        self.remarks: dict[str, list[str]] = {}
        self.types, self.axes = Counter[str](), Counter[int]()
        self.values = self.cut_off = 0
        self.vanished, self.blank = list[str](), list[str]()

    def add(self, name: str, picture: Picture) -> None:
        pixels = picture.pixels
        self.types[pixels.dtype.name] += 1
        self.axes[pixels.ndim] += 1
        for remark in picture.remarks:
            self.remarks.setdefault(remark, []).append(name)
        if _blank(pixels, self.how):
            laid = LAID[self.how.ground] in picture.remarks
            (self.vanished if laid else self.blank).append(name)
        if self.how.range and (pixels.dtype != np.uint8 or self.how.of_bytes):
            self.values += pixels.size
            self.cut_off += outside(pixels, *self.how.range)

    def notes(self) -> list[str]:
        total = self.types.total()
        notes = remark_notes(self.label, self.remarks, total)
        if self.vanished:
            notes.append(self._vanished(total))
        if self.blank:
            notes += remark_notes(
                self.label, {"one grey level all over, in the scale in use": self.blank}, total
            )
        if self.how.channels == 3 and len(self.axes) > 1:
            notes.append(
                f"{self.label}: {self.axes[2]:,} of {total:,} pictures are grey among colours:"
                " their one channel is repeated"
            )
        notes += mixed_notes(self.label, self.types)
        if self.cut_off and self.how.range:
            low, high = self.how.range
            notes.append(
                f"{self.label}: {share(self.cut_off, self.values)} of the pixels lie outside"
                f" {low:.7g} to {high:.7g}: cut off there"
            )
        return notes

    def _vanished(self, total: int) -> VanishedNote:
        ground = self.how.ground
        other = "white" if ground == "black" else "black"
        what = f"nothing to be seen once laid on {ground} (data.background: {other} may show them)"
        note = VanishedNote(*remark_notes(self.label, {what: self.vanished}, total))
        note.pictures, note.of = len(self.vanished), total
        return note


def _blank(pixels: np.ndarray, how: Recipe) -> bool:
    low, high = float(pixels.min()), float(pixels.max())
    if how.range and (pixels.dtype != np.uint8 or how.of_bytes):
        return high - low < LEVEL * (how.range[1] - how.range[0])
    return low == high


def remark_notes(label: str, remarks: dict[str, list[str]], total: int) -> list[str]:
    """A line for each remark: of how many pictures, and the first of them."""
    return [
        f"{label}: {len(names):,} of {total:,} pictures: {remark} (as {', '.join(names[:SHOWN])})"
        for remark, names in remarks.items()
    ]


def mixed_notes(label: str, types: Counter[str]) -> list[str]:
    """A line where pictures of 8 bits lie among deeper ones."""
    if len(types) < 2 or "uint8" not in types:
        return []
    deeper = ", ".join(f"{n:,} of {name}" for name, n in sorted(types.items()) if name != "uint8")
    return [
        f"{label}: {types['uint8']:,} pictures of 8 bits are divided by 255, {deeper} scaled by"
        " the range"
    ]


def share(part: int, whole: int) -> str:
    """In percent with two digits; never 0% of something."""
    percent = 100 * part / whole
    return f"{percent:.2g}%" if percent >= 0.01 else "less than 0.01%"
