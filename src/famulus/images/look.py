"""A look at a set of pictures before anything is trained on it: `look(name)` gives a `Survey`.

Sizes come from the files' headers; pixels of at most `PICTURES` pictures, evenly spread, so that a
large set takes no longer than a minute. How many were looked at is part of what is said.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.copies import CopyNote
from famulus.feed.source import OfForm
from famulus.images import datasets as sets
from famulus.images.contact_sheet import tile
from famulus.images.decoding import Ground
from famulus.images.duplicates import find_duplicates, find_repeats
from famulus.images.files import FilePart, in_order
from famulus.images.grey_range import RangeNote
from famulus.images.ground import on_ground
from famulus.images.open import open_images
from famulus.images.parts import left_out_notes
from famulus.images.picture_sample import Sample, as_bytes, spread
from famulus.images.survey import PROPOSED, Size, Survey
from famulus.images.value_notes import VanishedNote

HEADERS = 50_000  # files whose header is read
PICTURES = 10_000  # pictures whose pixels are looked at, ...
PIXELS = 1_000_000_000  # ... and their pixels in all: 10 to 30 seconds of decoding on one core
KEPT = 1 << 30  # bytes of decoded pictures that `parts` keeps
ROLES = ("train", "validation")
MANY = 0.01  # of a part's pictures: where so many vanish on black, white is looked at
Facts = dict[str, Any]  # fields of a Survey, as far as they are known


def look(name: str, size: int | None = None) -> Survey:
    """Looks at a set by name or path; `size` as a training would have it, None: as stored.

    Raises ConfigError or DataError as `datasets.find`; a set that is there and can't be opened has
    the reason in its notes.
    """
    pictures = sets.find(name)
    parts = (pictures.train, pictures.validation)
    files = sum(len(part.names) for part in parts)
    sizes, unreadable = Counter[Size](), dict[str, list[str]]()
    for part in parts:
        if isinstance(part, FilePart):
            _headers(part, HEADERS * len(part.names) // max(1, files), sizes, unreadable)
    mean = _area(sizes) / max(1, sizes.total())
    # an array is in memory already, whatever it holds
    heavy = bool(sizes) and mean * files > PIXELS
    many = files > HEADERS and isinstance(pictures.train, FilePart)
    facts = _seen_most(name, size, sizes, heavy) if not many else {}
    ground = facts.get("background", "black")
    parts = (on_ground(parts[0], ground), on_ground(parts[1], ground))
    most = min(PICTURES, int(PIXELS / mean) if mean else PICTURES)
    sample = Sample()
    cached = not heavy and 3 * _area(sizes) < KEPT
    for part, role in zip(parts, ROLES, strict=True):
        count = max(1, most * len(part.names) // max(1, files))
        sample.part(part, role, count, cached, unreadable)
    if not sizes:
        sizes = sample.sizes
        if size is None and facts.get("shape"):  # of an array: one size, which all have
            sizes = Counter({facts["shape"][1:]: files})
    low, high = sample.range()
    small = {role: sample.small(role, low, high) for role in ROLES}
    repeats = len(find_repeats(small["train"]).pairs)
    notes = facts.pop("notes", None)
    if notes is None:
        notes = [*pictures.notes, *left_out_notes(name, unreadable)]
        if many:
            notes.append(f"{name}: {files:,} files: not all of them were opened here")
    copy_note = next((note.copies for note in notes if isinstance(note, CopyNote)), None)
    if copy_note is not None:
        copies = copy_note.all
    else:
        copies = len(find_duplicates(small["train"], small["validation"]).pairs)
    return Survey(
        name=name,
        own_split=pictures.own_split,
        sizes=sizes,
        files=files,
        decoded=sample.decoded,
        dtypes=sample.dtypes,
        colour=sample.colour,
        low=low,
        high=high,
        repeats=repeats,
        copies=copies,
        complete=sample.decoded + sum(map(len, unreadable.values())) >= files,
        rows={
            label: [tile(as_bytes(p, low, high)) for p in ps] for label, ps in sample.rows.items()
        },
        notes=list(notes),
        train=facts.get("train", len(parts[0].names)),
        validation=facts.get("validation", len(parts[1].names)),
        train_classes=facts.get("train_classes", _classes(parts[0].labels, parts[0].classes)),
        validation_classes=facts.get(
            "validation_classes", _classes(parts[1].labels, parts[1].classes)
        ),
        shape=facts.get("shape"),
        fingerprint=facts.get("fingerprint"),
        resized=facts.get("resized"),
        unclear=getattr(parts[0], "unclear", ""),
        background=ground,
        vanished=facts.get("vanished", (0, 0)),
        range=next((note.likely for note in notes if isinstance(note, RangeNote)), None),
    )


def _seen_most(name: str, size: int | None, sizes: Counter[Size], heavy: bool) -> Facts:
    """As `_opened`, on black; on white where many pictures vanish on black, fewer do on white, and
    none that was read is refused there."""
    black = _opened(name, size, sizes, heavy)
    lost = _vanished(black)
    if max((note.pictures / note.of for note in lost), default=0) < MANY:
        return black
    white = _opened(name, size, sizes, heavy, "white")
    on_black, on_white = (sum(note.pictures for note in _vanished(f)) for f in (black, white))
    whole = white.keys() == black.keys() and all(white[role] == black[role] for role in ROLES)
    return white | {"vanished": (on_black, on_white)} if whole and on_white < on_black else black


def _vanished(facts: Facts) -> list[VanishedNote]:
    return [note for note in facts["notes"] if isinstance(note, VanishedNote)]


def _headers(
    part: FilePart, most: int, sizes: Counter[Size], unreadable: dict[str, list[str]]
) -> None:
    names = [part.names[i] for i in spread(len(part.names), most)]
    for name, head in zip(names, in_order(part.header, names), strict=True):
        if isinstance(head, str):
            unreadable.setdefault(head, []).append(name)
        else:
            sizes[(head[0], head[1])] += 1


def _opened(
    name: str, size: int | None, sizes: Counter[Size], heavy: bool, ground: Ground = "black"
) -> Facts:
    """What only the opened set tells: as a training would open it, its files read once.

    A heavy one is opened without decoding it.
    """
    as_stored: Any = None if len(sizes) <= 1 and not heavy else next(iter(sizes), None)
    differ = len(sizes) > 1
    form: Any = size or (PROPOSED if differ else as_stored and list(as_stored))
    how = {"size": form} | ({"resident_bytes": 0, "channels": 3} if heavy else {})
    row: Facts = {"background": ground}
    try:
        splits = open_images(name, **how, background=ground)
        row["fingerprint"] = splits.fingerprint
        row |= {"train": len(splits.train), "validation": len(splits.validation)}
        if size or not differ:
            row |= {"shape": tuple(splits.train.shape), "resized": splits.resized}
        for role in ROLES:
            source = getattr(splits, role)
            row[f"{role}_classes"] = _classes(source.labels, source.classes)
        # of a size that is only proposed here; the sizes themselves are told anyway
        row["notes"] = [n for n in splits.notes if size or not isinstance(n, OfForm)]
    except DataError as error:
        row["notes"] = [str(error)]
    return row


def _classes(labels: np.ndarray | None, classes: Sequence[str] | None) -> dict[str, int]:
    if labels is None or classes is None:
        return {}
    counts = np.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def _area(sizes: Counter[Size]) -> int:
    return sum(high * wide * n for (high, wide), n in sizes.items())
