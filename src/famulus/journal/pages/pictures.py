"""Pictures on the pages: which ones, how large, and how they travel with a page."""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from famulus.config.errors import StoreError
from famulus.journal.facts.cells import Cells
from famulus.journal.facts.group import Group, token
from famulus.journal.facts.names import file_name
from famulus.journal.facts.numbers import count, percent
from famulus.journal.facts.ranking import Ranking
from famulus.journal.facts.record import PictureFile, Record

EMBEDDED = 600_000  # bytes of PNG inside one page; what goes beyond lies beside it
LARGEST = 16_000_000  # bytes of a picture that is shown at all
SHADES = 5  # of a confusion's cells
IN_FRONT = 4  # cells whose pictures are open on an entry's page
Shown = dict[str, Any]  # a picture, as the template needs it
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels from the header; None if `data` is no PNG."""
    # by its bytes, not by its name: a store from elsewhere may hold anything under it
    if len(data) < 24 or data[:8] != SIGNATURE or data[12:16] != b"IHDR":
        return None
    return struct.unpack(">II", data[16:24])


@dataclass
class Gallery:
    """Reads pictures for one page, and decides which of them are part of it.

    `files` collects what must lie beside the page: name -> bytes.
    """

    prefix: str  # from the page to the folder of pictures
    files: dict[str, bytes]
    left: int = EMBEDDED

    def show(
        self, record: Record, picture: PictureFile, heading: str, colour: int | None
    ) -> Shown | None:
        """What the template needs; None if the picture is missing or no PNG."""
        try:
            data = record.run.picture(picture.file)
        # not synchronised yet, or lost: a page without it is still a page
        except StoreError:
            return None
        size = png_size(data)
        if size is None or len(data) > LARGEST:
            return None
        name = picture_name(record, picture)
        # beside the page in either case: the Markdown twin links there
        self.files[name] = data
        src = self.prefix + name
        # a page is one file to send to others, and must open at once
        if len(data) <= self.left:
            self.left -= len(data)
            src = "data:image/png;base64," + base64.b64encode(data).decode()
        when = f"{picture.name}, {count(picture.inputs)} samples"
        rows = ", ".join(picture.labels)
        return {"title": heading, "when": when, "labels": picture.labels, "src": src,
                "alt": f"{heading}: {rows}", "width": size[0], "height": size[1],
                "caption": picture.caption, "colour": colour,
                "classes": picture.classes, "confusion": confusion(picture)}  # fmt: skip


def confusion(picture: PictureFile) -> list[dict[str, Any]]:
    """Rows of a confusion: the class and its cells (count, percent of the row, shade 0 to 5)."""
    rows = []
    for name, counts in zip(picture.classes, picture.counts, strict=True):
        total = sum(counts)
        shares = [n / total if total else 0.0 for n in counts]
        cells = [
            {"n": f"{n:,}", "share": percent(s) if n else "", "shade": math.ceil(s * SHADES)}
            for n, s in zip(counts, shares, strict=True)
        ]
        rows.append({"name": name, "cells": cells})
    return rows


def picture_name(record: Record, picture: PictureFile) -> str:
    """Flat and unique, and never a name that looks like a run's folder."""
    return f"{record.id}-{file_name(picture.file.removeprefix('pictures/'), '.png')}"


def newest(group: Group) -> list[tuple[Record, PictureFile]]:
    """Of the first run that has pictures, the last one of each name."""
    for record in group.records:
        if record.pictures:
            return [(record, p) for p in {p.name: p for p in record.pictures}.values()]
    return []


def chosen(cells: Cells, ranking: Ranking) -> tuple[list[Group], list[Group]]:
    """(groups shown at once, the others): the best of each value of the first axis."""
    with_pictures = [g for g in cells.groups if any(r.pictures for r in g.records)]
    if len(with_pictures) <= IN_FRONT:
        return with_pictures, []
    scored = ranking.sorted(with_pictures, lambda g: g.mean(ranking.score))
    first = cells.axes[0] if cells.axes else ""
    best: dict[str, Group] = {}
    for group in scored:
        best.setdefault(token(group.axes.get(first)), group)
    front = {g.key: g for g in [*best.values(), *scored, *with_pictures]}
    keys = list(front)[:IN_FRONT]
    rest = [g for g in with_pictures if g.key not in keys]
    return [front[k] for k in keys], rest


def gallery_of(
    groups: Sequence[Group], cells: Cells, colour: Mapping[int, int], gallery: Gallery
) -> list[Shown]:
    """Newest pictures of each group's first run that has some."""
    pictures = [
        gallery.show(record, picture, cells.name(record), colour.get(group.key))
        for group in groups
        for record, picture in newest(group)
    ]
    return [p for p in pictures if p]


def over_time(record: Record, gallery: Gallery) -> list[Shown]:
    """All pictures of a run, the newest first; the samples are the same every time."""
    ordered = sorted(record.pictures, key=lambda p: (-p.step, p.name))
    shown = [gallery.show(record, p, f"step {p.step:,}", None) for p in ordered]
    return [p for p in shown if p]
