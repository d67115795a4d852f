"""Sets by name: where their files are, and how each is split. Nothing is decoded here.

`digits` comes with scikit-learn; the others lie under `FAMULUS_DATA` (see `data_folder`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from famulus.config.errors import ConfigError, DataError
from famulus.config.nearest import nearest
from famulus.feed.data_folder import data_folder, file_digest, require
from famulus.images.files import Folder, Zip
from famulus.images.idx import read_idx
from famulus.images.npz import npz_parts
from famulus.images.parts import ArrayPart, Part
from famulus.images.splits import file_parts

FASHION = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
)
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Found:
    """A set's two parts; `own_split` is False where a hash of the names made them."""

    train: Part
    validation: Part
    own_split: bool
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, and rarely needed

    bunch = load_digits()
    return np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.int64)


def digits(share: float | None) -> Found:
    """1,797 scanned digits 8x8, 0..16 scaled to 0..255: the first 1,437 train, 360 validate.

    They lie in the order of their writers, so a cut keeps most writers on one side.
    """
    images, labels = _digits()
    parts = []
    for role, piece in (("train", slice(0, 1437)), ("validation", slice(1437, None))):
        array, target = images[piece], labels[piece]
        # of the bytes: a library that changes its copy is seen
        digest = hashlib.sha256(array.tobytes() + target.tobytes()).hexdigest()
        names = [f"{role}/{i:05d}" for i in range(len(array))]
        parts.append(ArrayPart(f"digits/{role}", digest, names, target, DIGITS, array.view))
    return Found(parts[0], parts[1], True)


def idx_pair(name: str, folder: Path, classes: tuple[str, ...]) -> tuple[Part, Part]:
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

    # Only when asked for: names, labels and digest need no pixels.
    def load() -> np.ndarray:
        images = read_idx(pictures, axes=3)
        if len(images) != len(labels):
            raise DataError(f"{pictures}: {len(images)} pictures, but {len(labels)} labels")
        return images

    digest = hashlib.sha256((file_digest(pictures) + file_digest(answers)).encode()).hexdigest()
    names = [f"{role}/{i:05d}" for i in range(len(labels))]
    return ArrayPart(f"{name}/{role}", digest, names, labels, classes, load)


def mnist(share: float | None) -> Found:
    """Handwritten digits 28x28."""
    return Found(*idx_pair("mnist", data_folder() / "mnist", DIGITS), True)


def fashion_mnist(share: float | None) -> Found:
    """Pictures of clothes 28x28, in the files' form of MNIST."""
    return Found(*idx_pair("fashion-mnist", data_folder() / "fashion-mnist", FASHION), True)


def packed(name: str) -> Path:
    """The folder of a named set, or its zip where there is no folder."""
    folder = data_folder() / name
    return folder if folder.is_dir() else require(data_folder() / f"{name}.zip", name)


def crawl_tiles(share: float | None) -> Found:
    """Game tiles 32x32: colour times alpha (on black), without those under a quarter opaque."""
    return from_path(packed("crawl-tiles"), share, min_alpha=0.25)


def clothing(share: float | None) -> Found:
    """Photographs of clothes in 10 classes; its folder `test` stays unused."""
    return from_path(packed("clothing"), share)


def horse_or_human(share: float | None) -> Found:
    """Rendered horses and humans. Its folders keep each figure on one side: 10 to 30 pictures
    show the same one, so a split by picture would validate on what was learned by heart."""
    return from_path(packed("horse-or-human"), share)


def from_path(path: Path, share: float | None, min_alpha: float = 0.0) -> Found:
    """A folder or zip of pictures, or an `.npz`."""
    if path.is_dir():
        files: Folder | Zip = Folder(path, file_digest)
    elif path.suffix == ".zip":
        files = Zip(path, file_digest)
    elif path.suffix == ".npz":
        return Found(*npz_parts(path, share))
    else:
        raise DataError(f"{path}: expected a folder, a .zip or a .npz")
    return Found(*file_parts(path.stem, files, share, min_alpha))


NAMED: dict[str, Callable[[float | None], Found]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "crawl-tiles": crawl_tiles,
    "clothing": clothing,
    "horse-or-human": horse_or_human,
}


def find(name: str, share: float | None = None) -> Found:
    """The set `name`: one of `NAMED`, a path, or a folder, zip or npz below the data folder.

    Raises ConfigError with the nearest name, DataError if a path or the set's files are missing.
    """
    # names first: a folder called mnist in the working directory must not change a run
    if name in NAMED:
        return NAMED[name](share)
    places = [Path(name).expanduser()]
    places += [data_folder() / f"{name}{suffix}" for suffix in ("", ".zip", ".npz")]
    for place in places:
        if place.exists():
            return from_path(place, share)
    # A path was meant: the nearest name of a set would be no help.
    if "/" in name or name.endswith((".zip", ".npz")):
        raise DataError(f"data.name: expected a folder, a .zip or a .npz; {name} does not exist")
    near = nearest(name, NAMED)
    hint = f": did you mean {near!r}?" if near else ""
    raise ConfigError(
        f"data.name: expected one of {', '.join(NAMED)}, or a path; received {name!r}{hint}"
    )
