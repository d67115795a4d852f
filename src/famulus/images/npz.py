"""Sets in one `.npz`, read without pickle, in blocks.

Keys name a split (train, val, validation, test, ...) and what it holds, in either order and any
case: `train_images`, `x_train`, `X`, `train_labels`, `y_test`, `labels`, `target`; `classes` are
the names of the classes. `famulus data convert` writes `train_images`, `validation_images` uint8
BHW or BHWC, `train_labels`, `validation_labels` integers B, and `classes`.
"""

import re
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from famulus.config.errors import DataError
from famulus.feed.data_folder import file_digest
from famulus.images.array_parts import Parts, Side, array_parts
from famulus.images.role_split import by_name
from famulus.images.splits import role_of
from famulus.images.stored import Stored, check_ratio, packed_size, size_of, zip_member

MAX_BYTES = 8 << 30  # of all arrays that are read, unpacked
MAX_MEMBERS = 10_000
IMAGES = ("images", "image", "imgs", "img", "x", "data")
LABELS = ("labels", "label", "targets", "target", "y")
CLASSES = ("classes", "classnames", "labelnames")
Place = tuple[str, str]  # (split, or "" for the whole set; images, labels or classes)


def place_of(key: str) -> Place | None:
    """What an array of this name holds, None if the name says nothing."""
    words = re.sub(r"[^a-z0-9]+", "", key.lower())
    if words in CLASSES:
        return "", "classes"
    for what, names in (("images", IMAGES), ("labels", LABELS)):
        for name in sorted(names, key=len, reverse=True):
            if words == name:
                return "", what
            for rest in (words.removesuffix(name), words.removeprefix(name)):
                role = role_of(rest) if rest != words else None
                if role:
                    return role, what
    return None


def npz_parts(path: Path, share: float | None, test: bool = False) -> Parts:
    """(train, validation, whether the split is the file's own, notes).

    `test`: the test arrays validate. Raises DataError naming the keys that are there, or the array
    that is not as expected.
    """
    arrays, notes = _arrays(path)
    train, whole = arrays.get(("train", "images")), arrays.get(("", "images"))
    if train is None and whole is None:
        raise DataError(
            f"{path}: expected train_images and validation_images, or images; "
            f"received {', '.join(_members(path)) or 'nothing'}"
        )
    if train is not None and whole is not None and ("validation", "images") not in arrays:
        raise DataError(f"{path}: {_both(train, whole)}: both may be what is trained on: keep one")
    if train is not None:
        unused = [s for (role, what), s in arrays.items() if not role and what != "classes"]
        notes += [f"{s.where}: left out: the splits have arrays of their own" for s in unused]
    total = sum(stored.nbytes for stored in arrays.values())
    if total > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, received {total:,}")
    sides = {}
    for role in ("train", "validation", "test"):
        key = "" if role == "train" and train is None else role
        images, labels = arrays.get((key, "images")), arrays.get((key, "labels"))
        if images is not None:
            answers = None if labels is None else labels.labels()
            sides[role] = Side(images, answers, "" if labels is None else labels.where)
        elif labels is not None:
            notes.append(f"{labels.where}: left out: labels without images")
    first, second, own, more = array_parts(path, sides, _class_names(arrays), share, test)
    return first, second, own, [*by_name(path, notes), *more]


def refuse_npy(path: Path) -> NoReturn:
    """A `.npy` has no names: as well a volume as pictures. Raises DataError with what to do."""
    raise DataError(
        f"{path}: one array may be pictures or a volume: for pictures store "
        f"numpy.savez('{path.stem}.npz', images=array), for a volume use the task scroll"
    )


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Arrays by key."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    return {info.filename.removesuffix(".npy"): info for info in infos}


def _arrays(path: Path) -> tuple[dict[Place, Stored], list[str]]:
    """The arrays that this reads, by what they hold, and notes on the others."""
    if not path.is_file():
        raise DataError(f"{path}: expected a file")
    digest = file_digest(path)
    arrays: dict[Place, Stored] = {}
    others = []
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise DataError(f"{path}: expected at most {MAX_MEMBERS:,} arrays, received more")
            for info in infos:
                key = info.filename.removesuffix(".npy")
                place = place_of(key) if key != info.filename else None
                if place is None:
                    others.append(info.filename)
                    continue
                stored = _stored(path, archive, info, digest)
                if place in arrays:
                    both = _both(arrays[place], stored)
                    raise DataError(f"{path}: {both}: both may be {' '.join(place).strip()}")
                arrays[place] = stored
    except DataError:
        raise
    except Exception as error:  # damaged zip, unsupported version
        raise DataError(f"{path}: cannot be read as npz ({error})") from error
    listed = ", ".join(name.removesuffix(".npy") for name in others[:6])
    more = f" and {len(others) - 6} others" if len(others) > 6 else ""
    return arrays, [f"{path.stem}: left out: {listed}{more}"] if others else []


def _both(a: Stored, b: Stored) -> str:
    return " and ".join(stored.where.rpartition(": ")[2] for stored in (a, b))


def _stored(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, digest: str) -> Stored:
    """An array from its header alone. Raises DataError if it holds less than that says."""
    where = f"{path}: {info.filename}"
    try:
        with archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read: Any = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
            shape, fortran, dtype = read(file)
            start = file.tell()
    except Exception as error:  # any byte of it may be damaged, and NumPy evaluates it
        raise DataError(f"{where}: cannot be read as an array ({_line(error)})") from error
    # Only pickle could read them.
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects: not read")
    if dtype.names or dtype.kind not in "biufSU":
        raise DataError(f"{where}: expected numbers or texts, received {dtype}")
    if not shape or min(shape) < 0:
        raise DataError(f"{where}: expected an array of one value or row a picture, shape {shape}")
    # A header may claim any size, and NumPy would allocate it before it reads.
    if size_of(shape, dtype) > info.file_size - start:
        raise DataError(f"{where}: size {shape} is not what it holds")
    check_ratio(where, info.file_size, packed_size(path, info))
    start_of = partial(zip_member, path, info.filename, start)
    return Stored(where, digest, tuple(map(int, shape)), dtype, start_of, fortran)


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _class_names(arrays: Mapping[Place, Stored]) -> tuple[str, ...] | None:
    stored = arrays.get(("", "classes"))
    if stored is None:
        return None
    names = stored.labels()
    if names.ndim != 1 or len(set(names.tolist())) < len(names):
        raise DataError(f"{stored.where}: expected one name a class, received {stored.shape}")
    return tuple(map(str, names))
