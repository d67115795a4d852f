"""A folder or a zip with the IDX files of a set: MNIST, EMNIST and what is stored like them.

Usual names: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte`, with `.gz`, with the set's name
before (`emnist-letters-train-images-idx3-ubyte.gz`), any case. `t10k` is a test split.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.images.array_parts import Parts, Side, array_parts
from famulus.images.idx import stored_idx
from famulus.images.splits import role_of
from famulus.images.stored import Stored, file_bytes, packed_size, zip_member

T10K = "t10k"  # MNIST's name of its test part
NAME = re.compile(
    r"(?P<set>.*?)(?P<role>[a-z0-9]+)[-_.](?P<what>images|labels)[-_.]?idx\d"
    r"([-_.]?(ubyte|byte|short|int|float|double))?(\.gz)?",
    re.IGNORECASE,
)
DEPTH = 3  # folders below the one that is named: <name>/raw as torchvision unpacks


@dataclass(frozen=True)
class _Member:
    name: str
    size: int  # bytes that `open` gives
    packed: int  # bytes on the disk
    digest: Callable[[], str]
    open: Callable[[], AbstractContextManager[BinaryIO]]


def _place(name: str) -> tuple[str, str, str] | None:
    """(the set, its split, images or labels) that a file's name says; None for other names."""
    base = name.rpartition("/")[2]
    # A zip may name a file with 65,535 letters.
    match = NAME.fullmatch(base) if len(base) < 256 else None
    if match is None:
        return None
    role = "test" if match["role"].lower() == T10K else role_of(match["role"])
    return (
        None if role is None else (match["set"].lower().strip("-_."), role, match["what"].lower())
    )


def is_idx(name: str) -> bool:
    """Whether a file of that name is one of a set's IDX files."""
    return _place(name) is not None


def holds_idx(names: Sequence[str]) -> bool:
    """Whether files of these names are a set: pictures and labels to train on."""
    places = {place[1:] for place in map(_place, names) if place}
    return {("train", "images"), ("train", "labels")} <= places


def idx_parts(path: Path, share: float | None, test: bool = False) -> Parts:
    """(train, validation, whether the split is the set's own, notes) of a folder or zip.

    `test`: the test files validate. Raises DataError with the file, or where there are two sets.
    """
    members = _in_folder(path) if path.is_dir() else _in_zip(path)
    places: dict[tuple[str, str], list[_Member]] = {}
    names, others = set(), []
    for member in sorted(members, key=lambda m: (m.name.count("/"), m.name)):
        place = _place(member.name)
        if place is None:
            others.append(member.name)
            continue
        names.add(place[0])
        places.setdefault(place[1:], []).append(member)
    if len(names) > 1:
        raise DataError(
            f"{path}: expected the files of one set, received those of {', '.join(sorted(names))}: "
            "a folder for each"
        )
    notes = []
    if others:
        more = ", ..." if len(others) > 6 else ""
        notes.append(f"{path.stem}: {len(others)} files left out: {', '.join(others[:6])}{more}")
    sides = {}
    for role in ("train", "validation", "test"):
        images, labels = (places.get((role, what), []) for what in ("images", "labels"))
        if images:
            sides[role] = _side(path, _one(path, images, notes), _one(path, labels, notes))
        else:
            notes += [f"{path.stem}: {m.name} left out: labels without images" for m in labels]
    train, validation, own, more_notes = array_parts(path, sides, None, share, test)
    return train, validation, own, [*notes, *more_notes]


def _side(path: Path, images: _Member | None, labels: _Member | None) -> Side:
    assert images is not None  # as asked for by the caller
    if labels is None:
        return Side(_stored(path, images, images.digest()))
    both = hashlib.sha256((images.digest() + labels.digest()).encode()).hexdigest()
    answers = _stored(path, labels, both)
    return Side(_stored(path, images, both), answers.labels(), answers.where)


def _stored(path: Path, member: _Member, digest: str) -> Stored:
    return stored_idx(f"{path}: {member.name}", digest, member.open, member.size, member.packed)


def _one(path: Path, members: list[_Member], notes: list[str]) -> _Member | None:
    """The only one of a role; of a file and its packed form, or of equal ones, the first."""
    if not members:
        return None
    first, *rest = sorted(members, key=lambda m: m.name.lower().endswith(".gz"))
    for other in rest:
        packed = other.name.lower() == f"{first.name.lower()}.gz"
        if not packed and other.digest() != first.digest():
            raise DataError(
                f"{path}: {first.name} and {other.name}: both may be the same part: keep one"
            )
        notes.append(f"{path.stem}: {other.name} left out: {first.name} is the same")
    return first


def _in_folder(path: Path) -> list[_Member]:
    members = []
    for top, folders, names in os.walk(path):
        below = Path(top).relative_to(path)
        if len(below.parts) >= DEPTH:
            folders.clear()
        for name in names:
            file = Path(top) / name
            # No pipe and no device: opening one would wait for ever.
            if file.is_file() and not name.startswith("."):
                size = file.stat().st_size
                digest, opener = partial(file_digest, file), partial(file_bytes, file)
                members.append(_Member((below / name).as_posix(), size, size, digest, opener))
    return members


def _in_zip(path: Path) -> list[_Member]:
    if not path.is_file():
        raise DataError(f"{path}: expected a folder or a zip")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except Exception as error:  # damaged in any way
        raise DataError(f"{path}: cannot be read as a zip ({error})") from error
    members = []
    for info in infos:
        if any(piece.startswith((".", "__MACOSX")) for piece in info.filename.split("/")):
            continue
        members.append(
            _Member(
                info.filename,
                info.file_size,
                packed_size(path, info),
                partial(_member_digest, path, info),
                partial(zip_member, path, info.filename),
            )
        )
    return members


def _member_digest(path: Path, info: zipfile.ZipInfo) -> str:
    """The same for equal members of one zip, another one for any other zip."""
    text = f"{file_digest(path)}/{info.CRC}/{info.file_size}"
    return hashlib.sha256(text.encode()).hexdigest()
