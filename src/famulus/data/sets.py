"""Sets by name: where their files are, and how each is split. Nothing is decoded here.

`digits` comes with scikit-learn; the others lie under `FAMULUS_DATA` (see `data_folder`).
"""

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from famulus.config.errors import DataError
from famulus.data.idx import read_idx
from famulus.data.parts import ArrayPart, Part

Pair = tuple[Part, Part]
FASHION = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)
DIGITS = tuple("0123456789")


def data_folder() -> Path:
    """The folder named by FAMULUS_DATA, else `famulus/data` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FAMULUS_DATA") or Path(cache) / "famulus" / "data")


def require(path: Path, name: str) -> Path:
    """`path` if it exists. Raises DataError naming it and FAMULUS_DATA."""
    if path.exists():
        return path
    state = os.environ.get("FAMULUS_DATA") or "not set"
    raise DataError(
        f"data.name {name}: expected {path}, which does not exist: put it there or set "
        f"FAMULUS_DATA (now {state}); `digits` needs no files"
    )


def file_digest(path: Path) -> str:
    """sha256 of a file, remembered while its size and its time stay the same."""
    stat = path.stat()
    return _file_digest(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _file_digest(path: str, size: int, time_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, and rarely needed

    bunch = load_digits()
    return np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.int64)


def digits() -> Pair:
    """1,797 scanned digits 8x8, 0..16 scaled to 0..255: the first 1,437 train, 360 validate.

    They lie in the order of their writers, so a cut keeps most writers on one side.
    """
    images, labels = _digits()
    parts = []
    for role, piece in (("train", slice(0, 1437)), ("validation", slice(1437, None))):
        array, target = images[piece], labels[piece]
        digest = hashlib.sha256(array.tobytes() + target.tobytes()).hexdigest()
        names = [f"{role}/{i:05d}" for i in range(len(array))]
        parts.append(
            ArrayPart(f"digits/{role}", digest, names, target, DIGITS, lambda array=array: array)
        )
    return parts[0], parts[1]


def idx_pair(name: str, folder: Path, classes: tuple[str, ...]) -> Pair:
    """The four IDX files of MNIST in `folder`, gzipped or not; `t10k` validates."""
    train = _idx_part(name, folder, "train", "train", classes)
    return train, _idx_part(name, folder, "t10k", "validation", classes)


def _idx_part(name: str, folder: Path, stem: str, role: str, classes: tuple[str, ...]) -> Part:
    def find(rest: str) -> Path:
        plain = folder / f"{stem}-{rest}"
        return plain if plain.exists() else require(folder / f"{plain.name}.gz", name)

    pictures, answers = find("images-idx3-ubyte"), find("labels-idx1-ubyte")
    labels = read_idx(answers, axes=1).astype(np.int64)
    if len(labels) and labels.max() >= len(classes):
        raise DataError(f"{answers}: expected labels below {len(classes)}, got {labels.max()}")

    def load() -> np.ndarray:
        images = read_idx(pictures, axes=3)
        if len(images) != len(labels):
            raise DataError(f"{pictures}: {len(images)} pictures, but {len(labels)} labels")
        return images

    digest = hashlib.sha256((file_digest(pictures) + file_digest(answers)).encode()).hexdigest()
    names = [f"{role}/{i:05d}" for i in range(len(labels))]
    return ArrayPart(f"{name}/{role}", digest, names, labels, classes, load)


def mnist() -> Pair:
    return idx_pair("mnist", data_folder() / "mnist", DIGITS)


def fashion_mnist() -> Pair:
    return idx_pair("fashion-mnist", data_folder() / "fashion-mnist", FASHION)


NAMED: dict[str, Callable[[], Pair]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
}
