"""A volume in one TIFF: plain pages, ImageJ hyperstacks, OME-TIFF, BigTIFF.

Axes are those that the file names (OME-XML, ImageJ's description, tifffile's shape); pages without
names are planes from the top.

Shapes: Z Y X.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from famulus.config.errors import DataError
from famulus.volumes import memory
from famulus.volumes.axes import Choice, choose
from famulus.volumes.bricks import Piece
from famulus.volumes.reader import Reader, Spacing
from famulus.volumes.tiff_pages import all_pages, bands, check_page, form_of, holes, tiff

UNNAMED = "IQ"  # a sequence of pages; an axis that nobody named


class TiffStack(Reader):
    """Raises DataError naming the page that is missing, truncated or unlike the others."""

    kind = "TIFF"

    def __init__(self, path: Path, channel: int | None = None, time: int | None = None) -> None:
        self.path, self._notes = path, list[str]()
        with tiff(path) as file:
            pages = all_pages(file, path)
            series = _named(file, path)
            names = series.axes if series else "IYX"
            sizes = tuple(series.shape) if series else (len(pages), *pages[0].shape[:2])
            check_page(pages[0], path, pages[0].index, path.stat().st_size)
            choice = choose(path, _depth_named(names), sizes, channel, time)
            self.axes = names
            self._block: tuple[int, tuple[int, ...], np.dtype, Choice] | None = None
            self._numbers = [page.index for page in pages]
            if series:
                self._lay(series, sizes, choice)
            self._check([file.pages[n] for n in self._numbers])
            self.spacing = _spacing(file)
        deep, tall, wide = choice.order
        self.shape = (1 if deep is None else sizes[deep], sizes[tall], sizes[wide])
        self.dtype = form_of(pages[0])[1].newbyteorder("=")

    @property
    def notes(self) -> list[str]:
        return self._notes

    def _lay(self, series: Any, sizes: tuple[int, ...], choice: Choice) -> None:
        """Which pages hold the planes, or where the one block lies that holds them all."""
        lead, held = sizes[:-2], list(series.pages)
        if len(held) == math.prod(lead) and choice.order[1:] == (len(lead), len(lead) + 1):
            numbers = np.arange(len(held)).reshape(lead)
            chosen = tuple(choice.fixed.get(i, slice(None)) for i in range(len(lead)))
            kept = [held[i] for i in np.ravel(numbers[chosen])]
            if any(page is None for page in kept):
                raise DataError(f"{self.path}: planes are missing or lie in another file")
            self._numbers = [page.index for page in kept]
            return
        # ImageJ writes more than 4 GB behind the header of a single page.
        if series.dataoffset is None:
            raise DataError(
                f"{self.path}: expected a page for each of {math.prod(lead)} planes, "
                f"received {len(held)}: write it as plain pages"
            )
        end = series.dataoffset + math.prod(sizes) * series.dtype.itemsize
        if end > self.path.stat().st_size:
            raise DataError(f"{self.path}: truncated: its planes end at byte {end}")
        order = held[0].keyframe.parent.byteorder
        self._block = series.dataoffset, sizes, series.dtype.newbyteorder(order), choice
        self._numbers = [held[0].index]

    def _check(self, pages: list[Any]) -> None:
        size, name, form = self.path.stat().st_size, self.path.name, form_of(pages[0])
        for page in pages:
            if form_of(page) != form:
                raise DataError(
                    f"{self.path}: page {page.index}: expected {_shown(form)} as page "
                    f"{pages[0].index}, received {_shown(form_of(page))}"
                )
            check_page(page, self.path, page.index, size)
        if empty := sum(map(holes, pages)):
            self._notes.append(f"{name}: {empty} strips or tiles are not there: read as 0")
        if form[2]:
            self._notes.append(f"{name}: WhiteIsZero: inverted, so that more is brighter")

    def pieces(self) -> Iterator[Piece]:
        with tiff(self.path) as file:
            if self._block is not None:
                yield from self._from_block(form_of(file.pages[self._numbers[0]])[2])
                return
            for z, number in enumerate(self._numbers):
                for y, band in bands(file.pages[number], self.path, number):
                    yield Piece((z, y, 0), band[None])

    def _from_block(self, inverted: bool) -> Iterator[Piece]:
        offset, sizes, dtype, choice = self._block  # type: ignore[misc]
        whole = np.memmap(self.path, dtype, "r", offset, sizes)
        kept = whole[tuple(choice.fixed.get(i, slice(None)) for i in range(len(sizes)))]
        step = memory.rows_at_once(self.shape[2], dtype.itemsize)
        for z, plane in enumerate(kept.reshape(self.shape)):
            for y in range(0, len(plane), step):
                band = plane[y : y + step].astype(self.dtype)
                yield Piece((z, y, 0), (~band if inverted else band)[None])


def _named(file: tifffile.TiffFile, path: Path) -> Any:
    """The series whose axes the file names, or None: then pages are planes."""
    if not (file.is_ome or file.is_imagej or file.is_shaped):
        return None
    series = file.series
    return series[0] if series and (file.is_ome or len(series) == 1) else None


def _depth_named(names: str) -> str:
    """The one unnamed axis of a file without Z is depth."""
    unnamed = [axis for axis in names if axis in UNNAMED]
    if "Z" in names or len(unnamed) != 1:
        return names
    return names.replace(unnamed[0], "Z")


def _shown(form: tuple[tuple[int, ...], np.dtype, bool]) -> str:
    shape, dtype, inverted = form
    return f"{shape} {dtype}{' WhiteIsZero' * inverted}"


def _spacing(file: tifffile.TiffFile) -> Spacing | None:
    """z, y, x as OME-XML says it, in its units (micrometres unless it names others)."""
    found = dict(re.findall(r'PhysicalSize([XYZ])="([0-9.eE+-]{1,32})"', file.ome_metadata or ""))
    try:
        return tuple(float(found[axis]) for axis in "ZYX")  # type: ignore[return-value]
    except (KeyError, ValueError):
        return None
