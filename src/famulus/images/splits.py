"""Which files train and which validate, and which class each shows: from their names alone."""

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from famulus.config.errors import DataError
from famulus.images.files import FilePart, PictureFiles

HELD_OUT = 0.05  # where a set has no split of its own
TRAIN = ("train", "training")
VALIDATION = ("validation", "valid", "val")
ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def role_of(word: str) -> str | None:
    """The split that a word names: train, validation or test; None for any other word."""
    word = re.sub(r"[^a-z0-9]+", "", word.lower())
    return ROLES.get(word.removesuffix("set") if word != "set" else word)


def hashed(name: str) -> float:
    """A fixed number in 0..1 for a name: adding files moves no other from one side to the other."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:7]) / (
        1 << 56
    )


def held_out(names: Sequence[str], share: float) -> np.ndarray:
    """bool, one for each name: True where it validates."""
    return np.array([hashed(name) < share for name in names], bool)


def file_parts(
    label: str, files: PictureFiles, share: float | None, min_alpha: float = 0.0
) -> tuple[FilePart, FilePart, bool, list[str]]:
    """(train, validation, whether the split is the set's own, notes).

    Folders `train` and `validation` decide; where they are missing, the hash of the file name.
    The folder below is the class, unless some picture lies in none.
    Raises DataError if either side is empty.
    """
    if not files.names:
        raise DataError(f"{files.path}: expected pictures (png, jpg, ...), received none")
    strip = _common(files.names)
    # Case apart: `Train` and `train` are one folder to some file systems.
    top = {name: name[strip:].split("/")[0].lower() for name in files.names}
    train = [name for name in files.names if top[name] in TRAIN]
    valid = [name for name in files.names if top[name] in VALIDATION]
    own = bool(train and valid)
    notes = []
    if own:
        rest = len(files.names) - len(train) - len(valid)
        if rest:
            others = ", ".join(sorted({top[n] for n in files.names} - {*TRAIN, *VALIDATION})[:4])
            notes.append(f"{label}: {rest} pictures outside train and validation unused: {others}")

        def inner(name: str) -> str:
            return name[strip:].split("/", 1)[1]
    else:
        # Without folders that all share: where a set was unpacked must not move a picture across.
        mask = held_out([name[strip:] for name in files.names], share or HELD_OUT)
        train = [name for name, out in zip(files.names, mask, strict=True) if not out]
        valid = [name for name, out in zip(files.names, mask, strict=True) if out]

        def inner(name: str) -> str:
            return name[strip:]

    if not train or not valid:
        raise DataError(
            f"{files.path}: too few pictures to split: {len(train)} to train, {len(valid)} to "
            "validate; add some, or make folders train and validation"
        )
    # One list for both parts: numbered apart, their labels would agree in nothing.
    classes = _classes([*train, *valid], inner)
    parts = []
    for role, names in (("train", train), ("validation", valid)):
        labels = None
        if classes is not None:
            position = {name: i for i, name in enumerate(classes)}
            labels = np.array([position[inner(name).split("/")[0]] for name in names], np.int64)
        parts.append(FilePart(f"{label}/{role}", files, names, labels, classes, min_alpha))
    return parts[0], parts[1], own, notes


def _common(names: Sequence[str]) -> int:
    """Length of the folders that all names start with: a set packed inside one more folder."""
    # In order of names the first and the last differ wherever any two do.
    first, last = min(names), max(names)
    same = 0
    for i, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            break
        if a == "/":
            same = i + 1
    return same


def _classes(names: Sequence[str], inner: Callable[[str], str]) -> tuple[str, ...] | None:
    inside = [inner(name) for name in names]
    if any("/" not in name for name in inside):
        return None
    return tuple(sorted({name.split("/")[0] for name in inside}))
