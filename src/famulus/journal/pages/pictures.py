"""Pictures on the pages: which ones, how large, and how they travel with a page."""

import base64
import struct
from dataclasses import dataclass
from typing import Any

from famulus.config.errors import StoreError
from famulus.journal.facts.entry import Entry
from famulus.journal.facts.group import Group, title, token
from famulus.journal.facts.names import file_name
from famulus.journal.facts.numbers import count
from famulus.journal.facts.record import Picture, Record

EMBEDDED = 600_000  # bytes of PNG inside one page; what goes beyond lies beside it
LARGEST = 16_000_000  # bytes of a picture that is shown at all
IN_FRONT = 4  # cells whose pictures are open on an entry's page
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels from the header; None if `data` is no PNG."""
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

    def show(self, record: Record, picture: Picture, heading: str, colour: int | None) -> Any:
        """What the template needs; None if the picture is missing or no PNG."""
        try:
            data = record.run.picture(picture.file)
        except StoreError:
            return None
        size = png_size(data)
        if size is None or len(data) > LARGEST:
            return None
        name = picture_name(record, picture)
        self.files[name] = data
        src = self.prefix + name
        if len(data) <= self.left:
            self.left -= len(data)
            src = "data:image/png;base64," + base64.b64encode(data).decode()
        when = f"{picture.name}, {count(picture.inputs)} inputs"
        rows = ", ".join(picture.labels)
        found = {"title": heading, "when": when, "labels": picture.labels, "src": src}
        found |= {"alt": f"{heading}: {rows}", "width": size[0], "height": size[1]}
        return found | {"caption": picture.caption, "colour": colour}


def picture_name(record: Record, picture: Picture) -> str:
    """Flat and unique, and never a name that looks like a run's folder."""
    return f"{record.id}-{file_name(picture.file.removeprefix('pictures/'), '.png')}"


def newest(record: Record) -> list[Picture]:
    """The last picture of each name."""
    return list({p.name: p for p in record.pictures}.values())


def chosen(entry: Entry) -> tuple[list[Group], list[Group]]:
    """(groups shown at once, the others): the best of each value of the first axis."""
    with_pictures = [g for g in entry.groups if any(r.pictures for r in g.records)]
    if len(with_pictures) <= IN_FRONT:
        return with_pictures, []
    scored = [g for g in with_pictures if g.mean(entry.score) is not None]
    scored = entry.ranking.sorted(scored, lambda g: g.mean(entry.score))
    first = entry.axes[0] if entry.axes else ""
    best: dict[str, Group] = {}
    for group in scored:
        best.setdefault(token(group.axes.get(first)), group)
    front = {g.key: g for g in [*best.values(), *scored, *with_pictures]}
    keys = list(front)[:IN_FRONT]
    rest = [g for g in with_pictures if g.key not in keys]
    return [front[k] for k in keys], rest


def gallery_of(groups: list[Group], axes: list[str], colour: dict, gallery: Gallery) -> list[Any]:
    """Newest pictures of each group's first run that has some."""
    found = []
    for group in groups:
        record = next((r for r in group.records if r.pictures), None)
        for picture in newest(record) if record else ():
            heading = title(group.axes, axes) or record.slug
            found.append(gallery.show(record, picture, heading, colour.get(group.key)))
    return [p for p in found if p]


def over_time(record: Record, gallery: Gallery) -> list[Any]:
    """All pictures of a run, the newest first; the samples are the same every time."""
    ordered = sorted(record.pictures, key=lambda p: (-p.step, p.name))
    shown = [gallery.show(record, p, f"step {p.step:,}", None) for p in ordered]
    return [p for p in shown if p]
